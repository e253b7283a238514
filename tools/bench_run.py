"""Times in PyTorch the training steps of a run of `adamix train --trace`, on the same batches and routes.

    bench_run.py RUN [--steps 40] [--pad-to 128] [--precision bf16] [--threads 2]

The encoder is that of `transformers` with scaled-dot-product attention, dynamic padding and the run's batches, which are
grouped by length as the Hugging Face trainer groups them. `--pad-to` pads every batch, as the recipe of the released
code does. Prints the seconds of these steps here and, where the run ended after them, in the run.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path
from typing import Any

import torch

from oracle.encoding import Encoder
from oracle.glue import find_task, read_split
from oracle.losses import consistency_loss, task_loss
from oracle.mixture import Classifier
from oracle.optimizer import HfAdamW, clip_gradients
from oracle.settings import Settings, read_settings


class Replay:
    """The model, data and optimiser of a run."""

    def __init__(self, settings: Settings, pad_to: int, precision: str) -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.bf16 = settings, precision == "bf16"
        task = find_task(settings.task)
        self.encoder = Encoder(settings.model, pad_to or settings.max_length, "max" if pad_to else settings.pad)
        self.rows = read_split(settings.data, task, "train")
        self.encodings = self.encoder.encode(self.rows)
        self.model = Classifier(
            settings.model, outputs=task.outputs, pooling=settings.pooling, dropout=settings.dropout,
            bottleneck=settings.bottleneck, down=settings.down_experts, up=settings.up_experts,
            deviation=settings.initializer_range)
        self.model.get_submodule(self.model.kind).set_attn_implementation("sdpa")
        self.model.train()
        self.trained = self.model.choose_trained(settings.method, settings.train_pooler)
        self.optimizer = HfAdamW(
            self.trained, betas=(settings.beta1, settings.beta2), epsilon=settings.epsilon,
            weight_decay=settings.weight_decay, unselected=settings.unselected, decay_all=settings.decay_all,
            epsilon_placement=settings.epsilon_placement)

    def step(self, record: dict[str, Any]) -> int:
        """One update along a line of the trace; returns how many tokens it read, padding included."""
        self.optimizer.zero_grad()
        tokens = sum(self._micro(micro, len(record["micro"])) for micro in record["micro"])
        clip_gradients(self.trained, self.settings.max_grad_norm)
        self.optimizer.step(record["lr"])
        return tokens

    def _micro(self, micro: dict[str, Any], micros: int) -> int:
        ids = micro["examples"]
        batch = self.encoder.batch([self.rows[i] for i in ids], [self.encodings[i] for i in ids])
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            views = [self.model(batch, routes).float() for routes in micro["passes"]]
        loss = task_loss(views[0], batch.labels)
        if len(views) == 2:
            consistency = consistency_loss(views[0], views[1], detach=self.settings.consistency_detach,
                                           regression=self.settings.consistency_regression)
            loss = loss + self.settings.consistency_weight * consistency
        (loss / micros).backward()
        loss.item()
        return batch.input_ids.numel()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--steps", type=int, default=0, help="0: all that the trace has")
    parser.add_argument("--pad-to", type=int, default=0)
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    replay = Replay(read_settings(args.run / "run.toml"), args.pad_to, args.precision)
    trace = [json.loads(line) for line in (args.run / "trace.jsonl").read_text(encoding="utf-8").splitlines()]
    steps = trace[:args.steps] if args.steps else trace
    clock = time.perf_counter()
    tokens = sum(replay.step(record) for record in steps)
    seconds = time.perf_counter() - clock
    result = {"steps": len(steps), "tokens": tokens, "seconds": round(seconds, 2)}
    timings = [json.loads(line) for line in (args.run / "timings.jsonl").read_text(encoding="utf-8").splitlines()]
    trained = {line["step"]: line["training_seconds"] for line in timings if "training_seconds" in line}
    if list(trained) == [len(steps)]:
        result |= {"run_seconds": round(trained[len(steps)], 2), "ratio": round(trained[len(steps)] / seconds, 3)}
    result["peak_memory_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    result["torch"] = torch.__version__
    print(json.dumps(result))


if __name__ == "__main__":
    main()
