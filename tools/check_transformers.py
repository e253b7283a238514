"""Compares `adamix predict` with `transformers` on bases of many shapes, file forms and tokenizer files.

usage: check_transformers.py [--program PATH] [--seed N] [--minilm FOLDER] [--only WORD]

Bases are random and made here, at other sizes and seeds than the golden files; each is written in every form that a
hub folder may have. Token ids must be equal, logits within 1e-4.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertForMaskedLM,
    BertTokenizer,
    RobertaForMaskedLM,
    RobertaTokenizer,
)

from exchange import bases

TOLERANCE = 1e-4
SIZES = {"narrow": (24, 2, 3), "wide": (96, 1, 12), "deep": (32, 7, 2)}


def predict(program: str, folder: Path, rows: list[dict], work: Path, *words: str) -> list[dict]:
    source, target = work / "rows.jsonl", work / "predictions.jsonl"
    source.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    command = [program, "predict", "--model", folder, "--input", source, "--output", target, *words]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return [json.loads(line) for line in target.read_text().splitlines()]


def rows(seed: int, family: str) -> list[dict]:
    texts = list(bases.sentences(30, seed))
    singles = [{"sentence1": text} for text in texts[:10]]
    if family == "gpt2":
        return singles
    return singles + [{"sentence1": a, "sentence2": b} for a, b in zip(texts[10:20], texts[20:])]


def encoded(tokenizer, row: dict):
    return tokenizer(*row.values(), return_tensors="pt")


def reference(folder: Path, family: str, inputs: list[dict]) -> list[tuple[list[int], torch.Tensor]]:
    """Ids and logits of each row alone."""
    kind = AutoModelForCausalLM if family == "gpt2" else AutoModelForSequenceClassification
    model, tokenizer = kind.from_pretrained(folder, dtype=torch.float32).eval(), AutoTokenizer.from_pretrained(folder)
    found = []
    with torch.no_grad():
        for row in inputs:
            batch = encoded(tokenizer, row)
            logits = model(**batch).logits[0]
            found.append((batch["input_ids"][0].tolist(), logits[-1] if family == "gpt2" else logits))
    return found


class Check:
    def __init__(self, program: str, seed: int, work: Path, only: str) -> None:
        self.program, self.seed, self.work, self.only, self.worst, self.failed = program, seed, work, only, 0.0, 0

    def case(self, name: str, folder: Path, inputs: list[dict], expected) -> None:
        if self.only not in name:
            return
        try:
            found = predict(self.program, folder, inputs, self.work)
            ids = all(row["input_ids"] == ids for row, (ids, _) in zip(found, expected))
            pairs = zip(found, expected)
            difference = max(float((torch.tensor(row["logits"]) - logits).abs().max()) for row, (_, logits) in pairs)
        except (RuntimeError, KeyError) as error:
            self.failed += 1
            print(f"FAIL {name:<48} {error}", flush=True)
            return
        fits = ids and difference <= TOLERANCE and len(found) == len(expected)
        self.worst, self.failed = max(self.worst, difference), self.failed + (not fits)
        print(f"{'ok  ' if fits else 'FAIL'} {name:<48} {difference:.1e}{'' if ids else '  ids differ'}", flush=True)

    def sizes(self) -> None:
        for family in ("bert", "roberta", "gpt2"):
            inputs = rows(self.seed, family)
            for number, (size, (hidden, layers, heads)) in enumerate(SIZES.items()):
                folder = self.work / f"{family}-{size}"
                bases.save(folder, family, self.seed + number, hidden, layers, heads, labels=2 + number)
                self.case(f"{family} {size}", folder, inputs, reference(folder, family, inputs))
            self.forms(family, folder, inputs)

    def forms(self, family: str, folder: Path, inputs: list[dict]) -> None:
        """The same weights in other files."""
        expected = reference(folder, family, inputs)
        tensors = load_file(folder / "model.safetensors")

        def form(name: str, write) -> Path:
            other = self.work / f"{family}-{name}"
            shutil.copytree(folder, other, dirs_exist_ok=True)
            (other / "model.safetensors").unlink()
            write(other)
            return other

        def shards(other: Path) -> None:
            names = sorted(tensors)
            parts = {f"model-0000{i + 1}-of-00003.safetensors": names[i::3] for i in range(3)}
            for file, part in parts.items():
                save_file({name: tensors[name] for name in part}, other / file, {"format": "pt"})
            where = {name: file for file, part in parts.items() for name in part}
            index = {"metadata": {"total_size": 1}, "weight_map": where}
            (other / "model.safetensors.index.json").write_text(json.dumps(index))

        self.case(f"{family} three shards", form("shards", shards), inputs, expected)
        self.case(
            f"{family} pytorch_model.bin",
            form("bin", lambda other: torch.save(tensors, other / "pytorch_model.bin")),
            inputs,
            expected,
        )

        def binary_shards(other: Path) -> None:
            names = sorted(tensors)
            parts = {f"pytorch_model-0000{i + 1}-of-00002.bin": names[i::2] for i in range(2)}
            for file, part in parts.items():
                torch.save({name: tensors[name] for name in part}, other / file)
            where = {name: file for file, part in parts.items() for name in part}
            (other / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))

        self.case(f"{family} two .bin shards", form("bin-shards", binary_shards), inputs, expected)
        for name, dtype in (("f16", torch.float16), ("bf16", torch.bfloat16)):
            small = {key: tensor.to(dtype) for key, tensor in tensors.items()}
            other = form(name, lambda other, small=small: save_file(small, other / "model.safetensors", {"format": "pt"}))
            self.case(f"{family} {name}", other, inputs, reference(other, family, inputs))
            other = form(f"{name}-bin", lambda other, small=small: torch.save(small, other / "pytorch_model.bin"))
            self.case(f"{family} {name} pytorch_model.bin", other, inputs, reference(other, family, inputs))
        if family != "gpt2":
            old = {
                name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
                for name, tensor in tensors.items()
            }
            old[f"{family}.embeddings.position_ids"] = torch.arange(98).unsqueeze(0)
            other = form("old", lambda other: save_file(old, other / "model.safetensors", {"format": "pt"}))
            self.case(f"{family} gamma and beta, position_ids", other, inputs, expected)

    def tokenizers(self) -> None:
        """Vocabulary files without a tokenizer.json: `transformers`' own slow classes are the reference."""
        for family in ("bert", "roberta"):
            folder = self.work / f"{family}-vocabulary"
            bases.save(folder, family, self.seed, labels=3)
            tokenizer = json.loads((folder / "tokenizer.json").read_text())["model"]
            (folder / "tokenizer.json").unlink()
            vocabulary = tokenizer["vocab"]
            if family == "bert":
                words = sorted(vocabulary, key=vocabulary.get)
                (folder / "vocab.txt").write_text("\n".join(words) + "\n")
                (folder / "tokenizer_config.json").write_text('{"do_lower_case": true}')
                slow = BertTokenizer(str(folder / "vocab.txt"), do_lower_case=True)
            else:
                merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in tokenizer["merges"]]
                (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
                (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
                (folder / "tokenizer_config.json").unlink(missing_ok=True)
                slow = RobertaTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
            model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
            inputs, expected = rows(self.seed, family), []
            with torch.no_grad():
                for row in inputs:
                    batch = encoded(slow, row)
                    expected.append((batch["input_ids"][0].tolist(), model(**batch).logits[0]))
            self.case(f"{family} vocabulary files only", folder, inputs, expected)

    def masked(self) -> None:
        """Masked language models: logits at the masks."""
        for family, kind in (("bert", BertForMaskedLM), ("roberta", RobertaForMaskedLM)):
            name = f"{family} masked language model"
            if self.only not in name:
                continue
            folder = self.work / f"{family}-mlm"
            bases.save(folder, family, self.seed)
            config = AutoModel.from_pretrained(folder).config
            torch.manual_seed(self.seed)
            kind(config).eval().save_pretrained(folder)
            model, tokenizer = AutoModelForMaskedLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
            texts = [f"the {tokenizer.mask_token} sees a {tokenizer.mask_token}.", f"a dog {tokenizer.mask_token}"]
            worst = 0.0
            found = predict(self.program, folder, [{"sentence1": text} for text in texts], self.work)
            for text, row in zip(texts, found):
                batch = tokenizer(text, return_tensors="pt")
                with torch.no_grad():
                    logits = model(**batch).logits[0]
                places = (batch["input_ids"][0] == tokenizer.mask_token_id).nonzero().flatten()
                assert row["mask_positions"] == places.tolist()
                worst = max(worst, float((torch.tensor(row["logits"]) - logits[places]).abs().max()))
            self.worst, self.failed = max(self.worst, worst), self.failed + (worst > TOLERANCE)
            print(f"{'ok  ' if worst <= TOLERANCE else 'FAIL'} {name:<48} {worst:.1e}", flush=True)

    def minilm(self, folder: Path) -> None:
        """A real encoder: as it is it has no head, so it gets a random one."""
        if self.only not in "minilm" or not folder.is_dir():
            return
        torch.manual_seed(self.seed)
        other = self.work / "minilm"
        model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3, dtype=torch.float32).eval()
        with torch.no_grad():
            model.classifier.weight.normal_()
        model.save_pretrained(other)
        for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
            if (folder / name).is_file():
                shutil.copy(folder / name, other / name)
        inputs = rows(self.seed, "bert")
        inputs += [{"sentence1": "Café naïve — 42 %, and the naïveté of 東京 (Tokyo)…"}, {"sentence1": "a " * 200}]
        expected = reference(other, "bert", [{key: text[:400] for key, text in row.items()} for row in inputs[:-1]])
        self.case("minilm", other, inputs[:-1], expected)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = Path(os.environ.get("ADAMIX_SHARED", "../shared"))
    parser.add_argument("--program", default="target/release/adamix")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100000, help="default: from the clock")
    parser.add_argument("--minilm", type=Path, default=shared / "models" / "minilm-l6")
    parser.add_argument("--only", default="", help="cases whose name has this word")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}")
    with tempfile.TemporaryDirectory() as work:
        check = Check(arguments.program, arguments.seed, Path(work), arguments.only)
        check.sizes()
        check.tokenizers()
        check.masked()
        check.minilm(arguments.minilm)
    print(f"largest difference {check.worst:.1e}, {check.failed} failed")
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
