"""GLUE tasks in their official TSV layout: rows in, texts and labels out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Task:
    """Where a task's texts and labels stand in its files, and how it is scored."""

    folder: str
    texts: tuple[str, ...]
    label: str
    labels: tuple[str, ...]  # in the order of their ids; empty for regression
    metric: str = "accuracy"  # the metric that selects the best epoch
    header: tuple[str, ...] | None = None  # given when train and dev have none
    dev: str = "dev.tsv"

    @property
    def outputs(self) -> int:
        """Width of the task's head."""
        return len(self.labels) or 1


@dataclass(frozen=True)
class Row:
    """One example: one or two texts, and a class id or a score."""

    texts: tuple[str, ...]
    label: int | float


_ENTAIL = ("entailment", "not_entailment")
TASKS = {
    "cola": Task("CoLA", ("sentence",), "label", ("0", "1"), "matthews",
                 header=("source", "label", "star", "sentence")),
    "sst-2": Task("SST-2", ("sentence",), "label", ("0", "1")),
    "mrpc": Task("MRPC", ("#1 String", "#2 String"), "Quality", ("0", "1")),
    "sts-b": Task("STS-B", ("sentence1", "sentence2"), "score", (), "pearson"),
    "qqp": Task("QQP", ("question1", "question2"), "is_duplicate", ("0", "1")),
    "mnli": Task("MNLI", ("sentence1", "sentence2"), "gold_label",
                 ("entailment", "neutral", "contradiction"), dev="dev_matched.tsv"),
    "qnli": Task("QNLI", ("question", "sentence"), "label", _ENTAIL),
    "rte": Task("RTE", ("sentence1", "sentence2"), "label", _ENTAIL),
    "wnli": Task("WNLI", ("sentence1", "sentence2"), "label", ("0", "1")),
}
_ALIASES = {"sst2": "sst-2", "stsb": "sts-b"}


def find_task(name: str) -> Task:
    """The task called `name`; ValueError lists the known ones."""
    key = _ALIASES.get(name.lower(), name.lower())
    if key not in TASKS:
        raise ValueError(f"no task `{name}`; known: {', '.join(sorted(TASKS))}")
    return TASKS[key]


def read_split(root: Path, task: Task, split: str) -> list[Row]:
    """The rows of `split` ("train" or "dev") in file order; `root` is the task's folder or the GLUE root."""
    file = task.dev if split == "dev" else f"{split}.tsv"
    path = next((p for p in (root / file, root / task.folder / file) if p.is_file()), None)
    if path is None:
        raise ValueError(f"{root}: neither {file} nor {task.folder}/{file} is there")
    lines = path.read_text(encoding="utf-8-sig").split("\n")
    if lines and not lines[-1]:
        lines.pop()
    table = [line.rstrip("\r").split("\t") for line in lines]
    header = list(task.header) if task.header else table.pop(0)
    columns = [_column(header, name, path) for name in (*task.texts, task.label)]
    first = 1 if task.header else 2
    return [_row(cells, columns, task, f"{path}:{n}") for n, cells in enumerate(table, first)]


def _column(header: list[str], name: str, path: Path) -> int:
    if name not in header:
        raise ValueError(f"{path}: no column `{name}`; found {header}")
    return header.index(name)


def _row(cells: list[str], columns: list[int], task: Task, where: str) -> Row:
    if len(cells) <= max(columns):
        raise ValueError(f"{where}: {len(cells)} fields, {max(columns) + 1} needed")
    *texts, label = (cells[c] for c in columns)
    if not task.labels:
        return Row(tuple(texts), float(label))
    if label not in task.labels:
        raise ValueError(f"{where}: label `{label}` is not one of {task.labels}")
    return Row(tuple(texts), task.labels.index(label))
