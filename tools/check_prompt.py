"""Compares training by a prompt with `transformers`: token ids, the logits of the label words at the mask, and the loss.

usage: check_prompt.py [--program PATH] [--seed N] [--only WORD]

Tasks, rows and prompts are LiST's (`$ADAMIX_SHARED/data/fewshot-30`, split 1). Templates are read here in LM-BFF's own
notation and tokenised piece by piece as its code does; the head is `AutoModelForMaskedLM`'s. Bases: random BERT and
RoBERTa with real vocabularies, and the encoder that the program carries.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer, BertConfig, BertForMaskedLM, RobertaConfig, RobertaForMaskedLM

TOLERANCE = 1e-4
SHARED = Path(os.environ.get("ADAMIX_SHARED", "../shared"))

# LM-BFF's notation: pieces between stars, an underscore for a space.
IT_WAS = "*cls**sent_0*_It_was*mask*.*sep+*"
PAIR = "*cls**sent-_0*?*mask*,*+sentl_1**sep+*"
TASKS = {
    "sst2": ("SST-2", IT_WAS, {"0": "terrible", "1": "great"}),
    "mpqa": ("mpqa", IT_WAS, {"0": "terrible", "1": "great"}),
    "subj": ("subj", "*cls**sent_0*_This_is*mask*.*sep+*", {"0": "subjective", "1": "objective"}),
    "rte": ("RTE", PAIR, {"entailment": "Yes", "not_entailment": "No"}),
    "mnli": ("MNLI", PAIR, {"entailment": "Yes", "neutral": "Maybe", "contradiction": "No"}),
    "qqp": ("QQP", "*cls**sent_0**mask*,*+sentl_1**sep+*", {"0": "No", "1": "Yes"}),
}


def rows(task: str) -> list[tuple[list[str], str]]:
    """The training rows of split 1: texts and label."""
    folder = SHARED / "data" / "fewshot-30" / TASKS[task][0] / "30-1"
    if task in ("subj", "mpqa"):
        with open(folder / "train.csv", newline="", encoding="utf-8") as file:
            return [([text], label) for label, text in csv.reader(file)]
    lines = [line.split("\t") for line in (folder / "train.tsv").read_text(encoding="utf-8").splitlines()]
    match task:
        case "sst2":
            return [([line[0]], line[1]) for line in lines]
        case "mnli":
            return [([line[2].lower(), line[3].lower()], line[4]) for line in lines]
        case "rte":
            return [([line[1], line[2]], line[3]) for line in lines[1:]]
        case _:
            return [([line[3], line[4]], line[5]) for line in lines[1:]]


def prompted(tokenizer, template: str, texts: list[str]) -> list[int]:
    ids: list[int] = []
    for piece in template.split("*"):
        name, _, number = piece.rpartition("_")
        text = texts[int(number)] if name.lstrip("+").startswith("sent") else ""
        match name:
            case "sent":
                pass
            case "sent-":
                text = text[:-1]
            case "+sentl":
                text = " " + text[:1].lower() + text[1:]
            case _ if piece == "cls":
                ids.append(tokenizer.cls_token_id)
            case _ if piece == "mask":
                ids.append(tokenizer.mask_token_id)
            case _ if piece == "sep+":
                ids.append(tokenizer.sep_token_id)
            case _:
                text = piece.replace("_", " ")
        ids += tokenizer.encode(text, add_special_tokens=False)
    return ids


def run(program: str, *words: object) -> None:
    done = subprocess.run([program, *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())


def check(program: str, base: str, folder: Path, task: str, work: Path, seed: int) -> float | None:
    """Trains for one step without dropout; gives the largest difference, none where a row is too long for the base."""
    _, template, words = TASKS[task]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForMaskedLM.from_pretrained(folder, dtype=torch.float32).eval()
    longest = max(len(prompted(tokenizer, template, texts)) for texts, _ in rows(task))
    if longest > model.config.max_position_embeddings - 2:
        return None  # the program would cut what `transformers` refuses
    out = work / f"{folder.name}-{task}"
    settings = {
        "task": task,
        "data": SHARED / "data" / "fewshot-30",
        "model": base,
        "seed": seed,
        "few_shot.split": 1,
        "prompt.template": "manual",
        "adaptation.method": "head",
        "backbone.dropout": 0,
        "evaluation.after": "last",
        "input.max_length": 512,
        "schedule.batch_size": 8,
        "schedule.max_steps": 1,
    }
    settings = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    run(program, "train", *settings, "--trace", "--out", out)

    labelled = rows(task)
    named = [dict(zip(("sentence1", "sentence2"), texts)) for texts, _ in labelled]
    source, target = out / "rows.jsonl", out / "predictions.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in named))
    run(program, "predict", "--model", base, "--adapter", out / "adapter/initial", "--input", source,
        "--output", target, "--max-length", 512)
    found = [json.loads(line) for line in target.read_text().splitlines()]

    labels = json.loads((out / "adapter/initial/adamix_config.json").read_text())["labels"]
    # The files of some tasks number the classes.
    named_by = [label if label in words else str(number) for number, label in enumerate(labels)]
    ids = [tokenizer.encode(" " + words[name], add_special_tokens=False)[0] for name in named_by]
    worst, expected = 0.0, []
    for (texts, _), row in zip(labelled, found, strict=True):
        tokens = prompted(tokenizer, template, texts)
        assert row["input_ids"] == tokens, (task, row["input_ids"], tokens)
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([tokens])).logits[0]
        expected.append(logits[tokens.index(tokenizer.mask_token_id)][ids])
        worst = max(worst, float((torch.tensor(row["logits"]) - expected[-1]).abs().max()))
    step = json.loads((out / "trace.jsonl").read_text().splitlines()[0])
    [micro] = step["micro"]
    classes = torch.tensor([named_by.index(labelled[example][1]) for example in micro["examples"]])
    chosen = torch.stack([expected[example] for example in micro["examples"]])
    loss = float(torch.nn.functional.cross_entropy(chosen, classes))
    return max(worst, abs(loss - micro["task_loss"]))


def bases(work: Path, seed: int) -> dict[str, tuple[str, Path]]:
    """The base as the program names it, and its folder."""
    torch.manual_seed(seed)
    shape = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96}
    shape |= {"max_position_embeddings": 514, "initializer_range": 0.15}
    bert = BertForMaskedLM(BertConfig(vocab_size=30_522, **shape))
    roberta = RobertaForMaskedLM(RobertaConfig(vocab_size=50_265, type_vocab_size=1, pad_token_id=1, **shape))
    for name, model, vocabulary, files in (
        ("bert", bert, "minilm-l6", ("vocab.txt", "tokenizer.json", "tokenizer_config.json")),
        ("roberta", roberta, "roberta-bpe", ("vocab.json", "merges.txt")),
    ):
        model.eval().save_pretrained(work / name)
        for file in files:
            shutil.copy(SHARED / "models" / vocabulary / file, work / name / file)
    embedded = Path(__file__).parent.parent / "adamix-experiments" / "embedded" / "roberta-mini"
    made = {name: (str(work / name), work / name) for name in ("bert", "roberta")}
    return made | {"embedded": ("embedded", embedded)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="target/release/adamix")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100000, help="default: from the clock")
    parser.add_argument("--only", default="", help="cases whose name has this word")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}")
    worst, failed = 0.0, 0
    with tempfile.TemporaryDirectory() as work:
        for name, (base, folder) in bases(Path(work), arguments.seed).items():
            for task in TASKS:
                case = f"{name} {task}"
                if arguments.only not in case:
                    continue
                difference = check(arguments.program, base, folder, task, Path(work), arguments.seed)
                if difference is None:
                    print(f"skip {case:<20} a row is longer than the base's longest input")
                    continue
                worst, failed = max(worst, difference), failed + (difference > TOLERANCE)
                print(f"{'ok  ' if difference <= TOLERANCE else 'FAIL'} {case:<20} {difference:.1e}", flush=True)
    print(f"largest difference {worst:.1e}, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
