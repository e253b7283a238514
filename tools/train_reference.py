"""Fine-tunes in PyTorch with the configuration of a run: the scores that the recipe gives outside Rust.

Draws come from torch's generators, so a single run differs from one of `adamix train`; means over seeds agree.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from pathlib import Path
from typing import Any, Iterator

import torch
from safetensors.torch import save_file
from tokenizers import Encoding

from oracle.encoding import Batch, Encoder
from oracle.glue import Row, find_task, read_split
from oracle.losses import consistency_loss, task_loss
from oracle.metrics import score
from oracle.mixture import Classifier, Routes
from oracle.optimizer import HfAdamW, clip_gradients
from oracle.settings import Settings, read_settings

EVALUATION_BATCH = 64


def rate_at(settings: Settings, step: int, steps: int) -> float:
    """Learning rate of update `step` (from 0): linear warm-up, then linear to zero."""
    warmup = settings.warmup_steps or math.ceil(settings.warmup_ratio * steps)
    index = step if settings.first_rate == "zero" else step + 1
    if index < warmup:
        return settings.learning_rate * index / warmup
    return settings.learning_rate * (steps - index) / max(1, steps - warmup)


def draw_routes(model: Classifier) -> Routes:
    """One uniform expert for the batch, per site and side."""
    return {name: {side: int(torch.randint(len(bank), (1,))) for side, bank in site.adamix.items()}
            for name, site in model.sites.items()}


class Split:
    """A tokenised file."""

    def __init__(self, rows: list[Row], encoder: Encoder) -> None:
        self.rows, self.encoder = rows, encoder
        self.encodings: list[Encoding] = encoder.encode(rows)

    def batch(self, ids: list[int]) -> Batch:
        """The padded batch of these rows."""
        return self.encoder.batch([self.rows[i] for i in ids], [self.encodings[i] for i in ids])

    def shuffled(self, size: int, window: int) -> list[list[int]]:
        """An epoch's batches; rows are sorted by length within every `window` batches (0: not at all)."""
        order = torch.randperm(len(self.rows)).tolist()
        if window:
            chunk = size * window
            order = [i for start in range(0, len(order), chunk)
                     for i in sorted(order[start:start + chunk], key=lambda i: len(self.encodings[i].ids))]
        batches = [order[i:i + size] for i in range(0, len(order), size)]
        if window:
            batches = [batches[i] for i in torch.randperm(len(batches)).tolist()]
        return batches

    def by_length(self) -> list[list[int]]:
        """All rows in batches of similar length, for evaluation."""
        order = sorted(range(len(self.rows)), key=lambda i: len(self.encodings[i].ids))
        return [order[i:i + EVALUATION_BATCH] for i in range(0, len(order), EVALUATION_BATCH)]


class Training:
    """One run: `epochs` yields a record after each epoch."""

    def __init__(self, settings: Settings, out: Path, trace: bool) -> None:
        settings.refuse_other_rows()
        torch.manual_seed(settings.seed)
        self.settings, self.out = settings, out
        self.task = find_task(settings.task)
        encoder = Encoder(settings.model, settings.max_length, settings.pad)
        rows = read_split(settings.data, self.task, "train")
        self.train = Split(rows[:settings.train_rows or None], encoder)
        self.dev = Split(read_split(settings.data, self.task, "dev"), encoder)
        self.model = Classifier(
            settings.model, outputs=self.task.outputs, pooling=settings.pooling, dropout=settings.dropout,
            bottleneck=settings.bottleneck, down=settings.down_experts, up=settings.up_experts,
            deviation=settings.initializer_range)
        self.trained = self.model.choose_trained(settings.method, settings.train_pooler)
        self.optimizer = HfAdamW(
            self.trained, betas=(settings.beta1, settings.beta2), epsilon=settings.epsilon,
            weight_decay=settings.weight_decay, unselected=settings.unselected, decay_all=settings.decay_all,
            epsilon_placement=settings.epsilon_placement)
        self.step = 0
        self.trace = open(out / "trace.jsonl", "w", encoding="utf-8") if trace else None

    def epochs(self) -> Iterator[dict[str, Any]]:
        """Trains; metrics are those of the merged model on the dev set."""
        settings = self.settings
        per_epoch = math.ceil(math.ceil(len(self.train.rows) / settings.batch_size) / settings.accumulation)
        steps = min(settings.epochs * per_epoch, settings.max_steps or sys.maxsize)
        for epoch in range(1, settings.epochs + 1):
            if self.step >= steps:
                return
            start = time.perf_counter()
            self.model.train()
            batches = self.train.shuffled(settings.batch_size, settings.window if settings.order == "bucketed" else 0)
            groups = [batches[i:i + settings.accumulation] for i in range(0, len(batches), settings.accumulation)]
            losses = [self._update(group, rate_at(settings, self.step, steps)) for group in groups[:steps - self.step]]
            yield {"epoch": epoch, "train_loss": sum(losses) / len(losses),
                   "seconds": round(time.perf_counter() - start, 2), **self.evaluate()}

    def _update(self, batches: list[list[int]], rate: float) -> float:
        """One optimiser step over the micro-batches; returns the mean loss."""
        self.optimizer.zero_grad()
        records = [self._micro(ids, len(batches)) for ids in batches]
        norm = clip_gradients(self.trained, self.settings.max_grad_norm)
        self.optimizer.step(rate)
        self.step += 1
        loss = sum(r.pop("loss") for r in records) / len(records)
        if not math.isfinite(loss):
            raise FloatingPointError(f"step {self.step}: loss is {loss}")
        if self.trace:
            line = {"step": self.step, "lr": rate, "micro": records, "loss": loss, "grad_norm": norm}
            self.trace.write(json.dumps(line) + "\n")
        return loss

    def _micro(self, ids: list[int], micros: int) -> dict[str, Any]:
        """Forward and backward of one micro-batch; returns its trace record."""
        settings, batch = self.settings, self.train.batch(ids)
        defined = self.task.outputs > 1 or settings.consistency_regression != "none"
        differs = settings.dropout > 0 or bool(self.model.sites)
        twice = settings.consistency_weight > 0 and defined and differs
        passes = [draw_routes(self.model) for _ in range(2 if twice else 1)]
        views = [self.model(batch, routes) for routes in passes]
        task = task_loss(views[0], batch.labels)
        loss, consistency = task, None
        if twice:
            consistency = consistency_loss(views[0], views[1], detach=settings.consistency_detach,
                                           regression=settings.consistency_regression)
            loss = task + settings.consistency_weight * consistency
        (loss / micros).backward()
        return {"examples": ids, "passes": passes, "task_loss": task.item(),
                "consistency_loss": None if consistency is None else consistency.item(), "loss": loss.item()}

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Dev metrics of the merged model."""
        self.model.eval()
        batches = self.dev.by_length()
        logits = torch.cat([self.model(self.dev.batch(ids), None) for ids in batches])
        if self.task.outputs == 1 and self.settings.regression_floor == "zero":
            logits = logits.clamp(min=0)
        labels = torch.tensor([self.dev.rows[i].label for ids in batches for i in ids])
        return score(logits.double().numpy(), labels.numpy())

    def save(self, name: str) -> None:
        """Writes the trained tensors to `adapter/<name>`."""
        folder = self.out / "adapter" / name
        folder.mkdir(parents=True, exist_ok=True)
        save_file({n: p.detach().contiguous() for n, p in self.trained.items()}, folder / "adamix.safetensors")


def main(argv: list[str] | None = None) -> None:
    """Runs the configuration and writes `result.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="overrides a key")
    parser.add_argument("--trace", action="store_true", help="also write what replay_trace.py reads")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(argv)
    if args.trace and args.set:
        parser.error("--trace copies the configuration as run.toml, so it cannot go with --set")
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    settings = read_settings(args.config, args.set)
    training = Training(settings, args.out, args.trace)
    if args.trace:
        (args.out / "run.toml").write_bytes(args.config.read_bytes())
        training.save("initial")
    records = []
    for record in training.epochs():
        records.append(record)
        print(json.dumps(record), flush=True)
    if args.trace:
        training.trace.close()
        training.save("last")
    best = max(records, key=lambda r: r[training.task.metric])  # the earliest of equals
    trained = sum(p.numel() for p in training.trained.values())
    adapters = sum(p.numel() for n, p in training.trained.items() if ".adamix." in n)
    result = {
        "settings": {k: str(v) if isinstance(v, Path) else v for k, v in vars(settings).items()},
        "selection_metric": training.task.metric, "best": best, "last": records[-1], "epochs": records,
        "trained_parameters": trained, "adapter_parameters": adapters,
        "seconds_per_epoch": round(sum(r["seconds"] for r in records) / len(records), 2),
        "torch": torch.__version__, "threads": args.threads,
    }
    (args.out / "result.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
