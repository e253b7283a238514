"""Compares the program with Python's `transformers` and `peft` on adapters and models that go either way.

usage: check_exchange.py [--program PATH] [--seed N] [--only WORD] [--tolerance X]

In: random adapters made here by `peft` are loaded by `adamix predict`. Out: mixtures trained here by `adamix train` go
through `adamix export` and are loaded by `peft` and `transformers`. Every case prints the largest difference of its
logits. Exit code 0: all within the tolerance; 1: one is not.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoTokenizer

from exchange import adapters, bases, runs

FAMILIES = ("bert", "roberta", "gpt2")


class Check:
    """The program under test, the texts, and what was found."""

    def __init__(self, program: str, seed: int, work: Path, tolerance: float, only: str) -> None:
        self.program, self.seed, self.work, self.tolerance, self.only = program, seed, work, tolerance, only
        self.worst, self.failed, self.skipped = 0.0, 0, 0
        draw = list(bases.sentences(24, seed + 1))
        self.singles, self.pairs = draw[:8], list(zip(draw[8:16], draw[16:24]))
        self.bases = {family: bases.save(work / family, family, seed + 2) for family in FAMILIES}

    def run(self, *words: object) -> None:
        """Runs the program; a failure shows its line."""
        done = subprocess.run([self.program, *map(str, words)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip() or f"exit code {done.returncode}")

    def ours(self, base: Path, family: str, *words: object) -> list[torch.Tensor]:
        """The program's logits of every text."""
        rows = [{"sentence1": text} for text in self.singles]
        if family != "gpt2":
            rows += [{"sentence1": a, "sentence2": b} for a, b in self.pairs]
        source, target = self.work / "rows.jsonl", self.work / "predictions.jsonl"
        source.write_text("".join(json.dumps(row) + "\n" for row in rows))
        target.unlink(missing_ok=True)
        self.run("predict", "--model", base, *words, "--input", source, "--output", target)
        return [torch.tensor(json.loads(line)["logits"]) for line in target.read_text().splitlines()]

    def theirs(self, model: torch.nn.Module, base: Path, family: str) -> list[torch.Tensor]:
        """Python's logits of every text, one row at a time; a decoder's are those of the next token."""
        tokenizer = AutoTokenizer.from_pretrained(base)
        inputs = [(text,) for text in self.singles] + ([] if family == "gpt2" else list(self.pairs))
        found = []
        with torch.no_grad():
            for texts in inputs:
                logits = model(**tokenizer(*texts, return_tensors="pt")).logits[0]
                found.append(logits[-1] if family == "gpt2" else logits)
        return found

    def compare(self, name: str, one: list[torch.Tensor], other: list[torch.Tensor]) -> None:
        """Notes the largest difference of a case."""
        assert len(one) == len(other) > 0
        difference = max(float((a - b).abs().max()) for a, b in zip(one, other))
        spread = max(float(a.abs().max()) for a in one)
        fits = difference <= self.tolerance
        self.worst = max(self.worst, difference)
        self.failed += not fits
        print(f"{'ok  ' if fits else 'FAIL'} {name:<64} {difference:.1e}  (logits to {spread:.2f})", flush=True)

    def case(self, name: str, check) -> None:
        """Runs one case; what Python itself cannot do is skipped and said."""
        if self.only not in name:
            return
        try:
            check()
        except ValueError as error:
            if "past key values" not in str(error):
                raise
            self.skipped += 1
            print(f"skip {name:<64} {error}", flush=True)
        except RuntimeError as error:
            self.failed += 1
            print(f"FAIL {name:<64} {error}", flush=True)

    def plain(self) -> None:
        """The bases themselves."""
        for family in FAMILIES:
            base = self.bases[family]

            def check(base=base, family=family):
                theirs = self.theirs(adapters.load_base(base, family), base, family)
                self.compare(f"{family}: base", self.ours(base, family), theirs)

            self.case(f"{family}: base", check)

    def inwards(self) -> None:
        """Python's adapters here."""
        for family in FAMILIES:
            base = self.bases[family]
            kinds = adapters.DECODER if family == "gpt2" else adapters.ENCODER
            for number, (kind, make) in enumerate(kinds.items()):
                name = f"{family} in: {kind}"
                folder = self.work / f"{family}-{number}"

                def check(base=base, family=family, make=make, name=name, folder=folder):
                    model = adapters.save(folder, base, family, make, self.seed + 3)
                    theirs = self.theirs(model, base, family)
                    self.compare(name, self.ours(base, family, "--adapter", folder), theirs)
                    plain = self.theirs(adapters.load_base(base, family), base, family)
                    assert max(float((a - b).abs().max()) for a, b in zip(theirs, plain)) > 1e-2, "no effect"
                    if not kind_is_prompt(folder):
                        self.through_export(name, folder, base, family, theirs)

                self.case(name, check)

    def through_export(self, name: str, folder: Path, base: Path, family: str, expected: list[torch.Tensor]) -> None:
        """The same adapter written again by the program, as an adapter and folded into a whole model."""
        again, whole = Path(f"{folder}-again"), Path(f"{folder}-whole")
        if not has_biases(folder):
            self.run("export", folder, "--model", base, "--to", "peft", "--out", again)
            model = PeftModel.from_pretrained(adapters.load_base(base, family), again).eval()
            self.compare(f"{name}, written again", self.theirs(model, base, family), expected)
        self.run("export", folder, "--model", base, "--to", "transformers", "--out", whole)
        self.compare(f"{name}, folded", self.theirs(adapters.load_base(whole, family), whole, family), expected)

    def outwards(self) -> None:
        """Mixtures trained here, in Python."""
        for family in FAMILIES:
            kinds = runs.DECODER if family == "gpt2" else runs.ENCODER
            for kind, settings in kinds.items():
                name = f"{family} out: {kind}"
                self.case(name, lambda f=family, s=settings, n=name: self.one_run(f, s, n))

    def one_run(self, family: str, settings: dict[str, object], name: str) -> None:
        """Trains, exports in every form, compares."""
        base = bases.save(self.work / f"{family}-trained", family, self.seed + 4, labels=2)
        run = self.work / name.replace(" ", "-").replace(":", "").replace(",", "")
        data = self.work / ("corpus" if family == "gpt2" else "task")
        config = runs.write(run.with_suffix(".toml"), base, data, settings, self.seed)
        self.run("train", "--config", config, "--out", run)
        ours = self.ours(base, family, "--run", run)
        for expert in (None, 1) if "mixture" in name else (None,):
            words = () if expert is None else ("--expert", expert)
            what = "merged" if expert is None else f"expert {expert}"
            folder = Path(f"{run}-{what.replace(' ', '-')}")
            self.run("export", run, "--to", "peft", "--out", folder, *words)
            model = PeftModel.from_pretrained(adapters.load_base(base, family), folder).eval()
            theirs = self.theirs(model, base, family)
            if expert is None:
                self.compare(f"{name}, merged, peft", ours, theirs)
                plain = adapters.load_base(base, family)
                merged = PeftModel.from_pretrained(plain, run / "merged" / "best").eval()
                self.compare(f"{name}, the run's merged/best, peft", ours, self.theirs(merged, base, family))
            else:
                self.compare(f"{name}, {what}, peft", self.ours(base, family, "--adapter", folder), theirs)
            if kind_is_prompt(folder):
                continue
            whole = Path(f"{folder}-whole")
            self.run("export", run, "--to", "transformers", "--out", whole, *words)
            folded = self.theirs(adapters.load_base(whole, family), whole, family)
            self.compare(f"{name}, {what}, transformers", theirs, folded)


def config_of(folder: Path) -> dict:
    return json.loads((folder / "adapter_config.json").read_text())


def kind_is_prompt(folder: Path) -> bool:
    return config_of(folder)["peft_type"] == "PREFIX_TUNING"


def has_biases(folder: Path) -> bool:
    return config_of(folder).get("bias", "none") != "none"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="target/release/adamix")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100000, help="default: from the clock")
    parser.add_argument("--only", default="", help="cases whose name has this word")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}")
    with tempfile.TemporaryDirectory() as work:
        check = Check(arguments.program, arguments.seed, Path(work), arguments.tolerance, arguments.only)
        check.plain()
        check.inwards()
        check.outwards()
        print(f"largest difference {check.worst:.1e}, {check.failed} failed, {check.skipped} skipped")
        return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
