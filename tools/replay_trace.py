"""Follows a traced run of `adamix train` step by step in PyTorch and compares every loss with the trace.

The run must have been made with `--trace` and with dropout 0. Exit code 0: all figures agree; 1: one does not;
2: the run folder cannot be read.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from oracle import nlg
from oracle.decoder import Decoder, completion_loss
from oracle.encoding import Encoder
from oracle.glue import Row, find_task, read_split
from oracle.losses import consistency_loss, task_loss
from oracle.mixture import Classifier
from oracle.optimizer import HfAdamW, clip_gradients
from oracle.settings import Settings, read_settings

# Below these sizes a difference is taken relative to the floor: a small divergence is a difference of near-equals,
# whose rounding grows with neither it nor the loss.
FLOORS = {"loss": 1e-6, "task_loss": 1e-6, "consistency_loss": 1e-2, "grad_norm": 1e-6}


@dataclass
class Comparison:
    """The largest relative difference of each figure, its step, and the first step beyond the tolerance."""

    tolerance: float
    first_beyond: int | None = None
    worst: dict[str, tuple[float, int]] = field(default_factory=lambda: {k: (0.0, 0) for k in FLOORS})

    def add(self, figure: str, step: int, ours: float, traced: float | None) -> None:
        """Notes one pair; a figure that the trace does not give (null) must be 0 or absent here, too."""
        traced = 0.0 if traced is None else traced
        difference = abs(ours - traced) / max(abs(ours), FLOORS[figure])
        if not math.isfinite(difference):
            difference = math.inf
        if difference > self.worst[figure][0] or self.worst[figure][1] == 0:
            self.worst[figure] = (difference, step)
        if difference > self.tolerance and self.first_beyond is None:
            self.first_beyond = step

    @property
    def largest(self) -> float:
        """Over all figures."""
        return max(difference for difference, _ in self.worst.values())


class Classification:
    """An encoder and a task's rows: gives the loss of a micro-batch."""

    def __init__(self, settings: Settings, folder: Path, data: Path) -> None:
        task = find_task(settings.task)
        self.settings = settings
        self.rows: list[Row] = read_split(data, task, "train")
        self.encoder = Encoder(folder, settings.max_length, settings.pad)
        self.model = Classifier(
            folder, outputs=task.outputs, pooling=settings.pooling, dropout=0.0,
            bottleneck=settings.bottleneck, down=settings.down_experts, up=settings.up_experts)
        self.trained = self.model.choose_trained(settings.method, settings.train_pooler)

    def losses(self, micro: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Task loss, and unweighted consistency loss if there are two passes."""
        rows = [self.rows[i] for i in micro["examples"]]
        batch = self.encoder.batch(rows, self.encoder.encode(rows))
        views = [self.model(batch, routes) for routes in micro["passes"]]
        task = task_loss(views[0], batch.labels)
        if len(views) == 1:
            return task, None
        return task, consistency_loss(
            views[0], views[1], detach=self.settings.consistency_detach,
            regression=self.settings.consistency_regression)


class Generation:
    """A decoder and a data set's pairs: gives the loss of a micro-batch."""

    def __init__(self, settings: Settings, folder: Path, data: Path) -> None:
        self.settings = settings
        self.pairs = nlg.read_train(data, settings.task)
        self.model = Decoder(
            folder, method=settings.method, bottleneck=settings.bottleneck, rank=settings.rank,
            alpha=settings.alpha, down=settings.down_experts, up=settings.up_experts)
        self.completions = nlg.Completions(folder, min(settings.max_length, self.model.positions))
        self.trained = self.model.choose_trained(settings.method)

    def losses(self, micro: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Task loss, and unweighted consistency loss if there are two passes."""
        batch = self.completions.batch([self.pairs[i] for i in micro["examples"]])
        views = [self.model(batch.ids, routes)[batch.mask] for routes in micro["passes"]]
        task = completion_loss(views[0], batch.labels[batch.mask], self.settings.label_smoothing)
        if len(views) == 1:
            return task, None
        return task, consistency_loss(
            views[0], views[1], detach=self.settings.consistency_detach, regression="none")


class Replay:
    """Model, data and optimiser of a traced run."""

    def __init__(self, run: Path, base: Path | None, data: Path | None, double: bool) -> None:
        self.settings = settings = read_settings(run / "run.toml")
        for name, rate in (("backbone.dropout", settings.dropout), ("adaptation.lora_dropout", settings.lora_dropout)):
            if rate != 0:
                raise ValueError(f"{run}/run.toml: {name} is {rate}; only a run with 0 can be replayed")
        kind = Generation if settings.task in nlg.TASKS else Classification
        self.subject = kind(settings, resolved(base or settings.model), resolved(data or settings.data))
        self.trained = self.subject.trained
        load_adapter(self.trained, run / "adapter" / "initial", complete=settings.method != "full")
        self.subject.model.to(torch.float64 if double else torch.float32)
        self.optimizer = HfAdamW(
            self.trained, betas=(settings.beta1, settings.beta2), epsilon=settings.epsilon,
            weight_decay=settings.weight_decay, unselected=settings.unselected, decay_all=settings.decay_all,
            epsilon_placement=settings.epsilon_placement)

    def step(self, line: dict[str, Any], comparison: Comparison) -> None:
        """One optimiser step along a trace line."""
        settings, step = self.settings, line["step"]
        self.optimizer.zero_grad()
        total = 0.0
        for micro in line["micro"]:
            loss, task, consistency = self._micro(micro)
            (loss / len(line["micro"])).backward()
            total += loss.item() / len(line["micro"])
            comparison.add("task_loss", step, task, micro["task_loss"])
            comparison.add("consistency_loss", step, consistency, micro.get("consistency_loss"))
        norm = clip_gradients(self.trained, settings.max_grad_norm)
        comparison.add("loss", step, total, line["loss"])
        comparison.add("grad_norm", step, norm, line["grad_norm"])
        self.optimizer.step(line["lr"])

    def _micro(self, micro: dict[str, Any]) -> tuple[torch.Tensor, float, float]:
        """Loss to minimise, task loss, and unweighted consistency loss of one micro-batch."""
        task, consistency = self.subject.losses(micro)
        if consistency is None:
            return task, task.item(), 0.0
        loss = task + self.settings.consistency_weight * consistency
        return loss, task.item(), consistency.item()


def resolved(path: Path) -> Path:
    """A configured path, its leading environment variable replaced."""
    return Path(os.path.expandvars(path))


def load_adapter(trained: dict[str, nn.Parameter], folder: Path, *, complete: bool) -> None:
    """Copies `adamix.safetensors` into the parameters of the same names.

    ValueError names tensors that are unknown, mis-shaped or, with `complete`, missing.
    """
    tensors = load_file(folder / "adamix.safetensors")
    unknown = sorted(set(tensors) - set(trained))
    missing = sorted(set(trained) - set(tensors)) if complete else []
    if unknown or missing:
        raise ValueError(f"{folder}: not trained by this run: {unknown[:4]}; missing: {missing[:4]}")
    with torch.no_grad():
        for name, tensor in tensors.items():
            if trained[name].shape != tensor.shape:
                raise ValueError(f"{folder}: `{name}` is {list(tensor.shape)}, not {list(trained[name].shape)}")
            trained[name].copy_(tensor)


def tensor_difference(trained: dict[str, nn.Parameter], folder: Path) -> tuple[float, str]:
    """Largest |difference| over the tensor's largest |value|, and the tensor's name.

    The bias of attention keys is left out: softmax cancels it, so its gradient is rounding noise, which Adam scales up.
    """
    tensors = load_file(folder / "adamix.safetensors")
    worst = (0.0, "none")
    for name, saved in tensors.items():
        if name.endswith("attention.self.key.bias"):
            continue
        ours, saved = trained[name].detach().double(), saved.double()
        if name.endswith("attn.c_attn.bias"):
            ours, saved = (torch.cat([t.chunk(3)[i] for i in (0, 2)]) for t in (ours, saved))
        size = max(ours.abs().max().item(), 1e-12)
        worst = max(worst, ((ours - saved).abs().max().item() / size, name))
    return worst


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """The command line, or `argv`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="run folder with run.toml, trace.jsonl and adapter/initial")
    parser.add_argument("--base", type=Path, help="Hugging Face folder (default: `model` of run.toml)")
    parser.add_argument("--data", type=Path, help="task folder or GLUE root (default: `data` of run.toml)")
    parser.add_argument("--steps", type=int, help="stop after this many steps")
    parser.add_argument("--tolerance", type=float, default=1e-4, help="for losses and gradient norms")
    parser.add_argument("--tensor-tolerance", type=float, default=1e-2,
                        help="for the final tensors, when the trace is replayed to its end")
    parser.add_argument("--double", action="store_true", help="compute in float64")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--every", type=int, default=20, help="print a line every so many steps")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Replays and reports; returns the exit code."""
    args = arguments(argv)
    torch.set_num_threads(args.threads)
    try:
        replay = Replay(args.run, args.base, args.data, args.double)
        with open(args.run / "trace.jsonl", encoding="utf-8") as file:
            lines = [json.loads(line) for line in file if line.strip()]
        if [line["step"] for line in lines] != list(range(1, len(lines) + 1)):
            raise ValueError(f"{args.run}/trace.jsonl: the steps are not 1, 2, 3, ...")
    except (OSError, ValueError, KeyError) as error:
        print(f"cannot replay: {error}", file=sys.stderr)
        return 2
    comparison = Comparison(args.tolerance)
    for line in lines[:args.steps]:
        replay.step(line, comparison)
        if line["step"] % args.every == 0:
            print(f"step {line['step']:6}  loss {line['loss']:.6f}  largest difference {comparison.largest:.2e}",
                  flush=True)
    steps = min(args.steps or len(lines), len(lines))
    print(f"{steps} steps of {len(lines)}, tolerance {args.tolerance:.0e}")
    for figure, (difference, step) in comparison.worst.items():
        print(f"  {figure:17} {difference:.2e} (step {step})")
    agrees = steps > 0 and comparison.first_beyond is None
    if comparison.first_beyond is not None:
        print(f"  first beyond the tolerance: step {comparison.first_beyond}")
    last = args.run / "adapter" / "last"
    if steps == len(lines) and last.is_dir():
        difference, name = tensor_difference(replay.trained, last)
        print(f"  {'final tensors':17} {difference:.2e} ({name})")
        agrees = agrees and difference <= args.tensor_tolerance
    print("agrees" if agrees else "DIFFERS")
    return 0 if agrees else 1


if __name__ == "__main__":
    sys.exit(main())
