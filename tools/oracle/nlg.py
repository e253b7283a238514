"""E2E, WebNLG and DART: pairs of a linearised input and a text, and their tokens."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer

TASKS = ("e2e", "webnlg", "dart")
RENAMED = {"eatType": "Type", "priceRange": "price", "familyFriendly": "family friendly"}


@dataclass(frozen=True)
class Pair:
    """An input on one line and a text that was written for it."""

    context: str
    text: str


def read_train(folder: Path, task: str) -> list[Pair]:
    """The training pairs in file order; ValueError if no known file is there."""
    names = {
        "e2e": {"trainset.csv": _e2e_csv, "train.txt": _e2e_lines},
        "webnlg": {"train.json": _webnlg},
        "dart": {"dart-v1.1.1-full-train.json": _dart, "train.json": _dart},
    }[task]
    for name, read in names.items():
        if (folder / name).is_file():
            return list(read(folder / name))
    raise ValueError(f"{folder}: none of {', '.join(names)}")


def _e2e_csv(path: Path) -> Iterator[Pair]:
    with open(path, encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            slots = re.findall(r"([^,\[\]]+)\[([^\]]*)\]", row["mr"])
            parts = []
            for name, value in slots:
                value = re.sub(r"(?<=\d)-(?=\d)", " - ", value).replace("£", "£ ")
                name = name.strip()
                parts.append(f"{RENAMED.get(name, name)} : {value}")
            yield Pair(" | ".join(parts), row["ref"])


def _e2e_lines(path: Path) -> Iterator[Pair]:
    for line in path.read_text(encoding="utf-8").splitlines():
        context, text = line.strip().split("||")
        yield Pair(context, text)


def _webnlg(path: Path) -> Iterator[Pair]:
    for numbered in json.loads(path.read_text(encoding="utf-8"))["entries"]:
        for entry in numbered.values():
            triples = [(t["subject"], t["property"], t["object"]) for t in entry["modifiedtripleset"]]
            context = " | ".join(" : ".join(triple) for triple in triples)
            for text in entry["lexicalisations"]:
                if text["comment"] == "good":
                    yield Pair(context, text["lex"])


def _dart(path: Path) -> Iterator[Pair]:
    for entry in json.loads(path.read_text(encoding="utf-8")):
        context = " | ".join(f"{s} : {r.lower()} : {o}" for s, r, o in entry["tripleset"])
        for annotation in entry["annotations"]:
            if annotation["text"] is not None:
                yield Pair(context, annotation["text"])


@dataclass(frozen=True)
class CompletionBatch:
    """Token ids `[rows, tokens]` and where the loss counts: at `mask`, `ids` predicts `labels`."""

    ids: torch.Tensor
    labels: torch.Tensor
    mask: torch.Tensor


class Completions:
    """Tokenises pairs as context, separator, " text", end; padded on the right by 0."""

    def __init__(self, folder: Path, max_length: int) -> None:
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.max_length = max_length
        config = {}
        if (folder / "tokenizer_config.json").is_file():
            config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        self.begin = self._special(config.get("bos_token"), "<|endoftext|>", "<s>")
        self.end = self._special(config.get("eos_token"), "<|endoftext|>", "</s>")

    def _special(self, *names: object) -> int:
        for name in names:
            name = name["content"] if isinstance(name, dict) else name
            found = self.tokenizer.token_to_id(name) if isinstance(name, str) else None
            if found is not None:
                return found
        raise ValueError(f"the tokenizer has none of {names}")

    def batch(self, pairs: list[Pair]) -> CompletionBatch:
        """All pairs, to the longest of them."""
        plain = lambda text: self.tokenizer.encode(text, add_special_tokens=False).ids  # noqa: E731
        rows, contexts = [], []
        for pair in pairs:
            context = plain(pair.context) + [self.begin]
            rows.append((context + plain(" " + pair.text) + [self.end])[:self.max_length])
            contexts.append(len(context))
        width = max(map(len, rows))
        ids = torch.zeros(len(rows), width, dtype=torch.long)
        mask = torch.zeros(len(rows), width - 1, dtype=torch.bool)
        for i, (row, context) in enumerate(zip(rows, contexts)):
            ids[i, :len(row)] = torch.tensor(row)
            mask[i, context - 1:len(row) - 1] = True
        return CompletionBatch(ids=ids[:, :-1], labels=ids[:, 1:], mask=mask)
