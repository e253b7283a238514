"""The keys of a run's configuration (`run.toml`) that the reference scripts understand; same defaults as `adamix`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import nlg

_REQUIRED = object()


@dataclass(frozen=True)
class Settings:
    """One fine-tuning run. Field names follow the keys; units are steps, epochs or fractions."""

    seed: int
    task: str
    data: Path
    model: Path
    max_length: int
    pad: str
    order: str
    window: int
    train_rows: int
    pooling: str
    train_pooler: bool
    dropout: float
    method: str
    bottleneck: int
    rank: int
    alpha: float
    lora_dropout: float
    experts: int
    share: str
    initializer_range: float
    label_smoothing: float
    consistency_weight: float
    consistency_detach: bool
    consistency_regression: str
    learning_rate: float
    weight_decay: float
    epsilon: float
    epsilon_placement: str
    beta1: float
    beta2: float
    max_grad_norm: float
    decay_all: bool
    unselected: str
    epochs: int
    max_steps: int
    warmup_ratio: float
    warmup_steps: int
    batch_size: int
    accumulation: int
    first_rate: str
    regression_floor: str
    other_rows: tuple[str, ...]

    def refuse_other_rows(self) -> None:
        """Raises ValueError where the run trains on rows that only its trace tells."""
        if self.other_rows:
            raise ValueError(f"only a replay knows the rows of a run with {', '.join(self.other_rows)}")

    @property
    def down_experts(self) -> int:
        """Modules on the down side (0 when nothing is adapted)."""
        return self._side("down")

    @property
    def up_experts(self) -> int:
        """Modules on the up side (0 when nothing is adapted)."""
        return self._side("up")

    def _side(self, side: str) -> int:
        if self.method in ("adapter", "lora"):
            return 1
        if self.method not in ("adamix", "adamix-lora"):
            return 0
        return 1 if self.share in (side, "both") else self.experts


def read_settings(path: Path, overrides: list[str] | None = None) -> Settings:
    """Reads a TOML file; `overrides` are `table.key=value` strings with TOML values.

    Raises ValueError that names the key when one is missing or has a value outside its choices.
    """
    tree = tomllib.loads(path.read_text(encoding="utf-8"))
    for item in overrides or []:
        key, _, value = item.partition("=")
        _assign(tree, key.strip(), _value(value.strip()))
    return _settings(tree, path)


def _settings(tree: dict[str, Any], path: Path) -> Settings:
    def get(key: str, default: Any = _REQUIRED) -> Any:
        value = _find(tree, key)
        if value is None and default is _REQUIRED:
            raise ValueError(f"{path}: key `{key}` is missing")
        return default if value is None else value

    def choice(key: str, default: str, allowed: tuple[str, ...]) -> str:
        value = get(key, default)
        if value not in allowed:
            raise ValueError(f"{path}: `{key}` is {value!r}, not one of {', '.join(allowed)}")
        return value

    task = get("task").lower()
    generates = task in nlg.TASKS
    methods = ("adamix", "adamix-lora", "adapter", "lora", "full") if generates else ("adamix", "adapter", "head", "full")
    method = choice("adaptation.method", "adamix", methods)
    activation = "gelutanh" if generates else "gelu"
    choice("adaptation.activation", activation, (activation,))
    default_weight = 0.0 if not method.startswith("adamix") else 100.0 if generates else 1.0
    choice("backbone.precision", "f32", ("f32",))
    choice("routing.policy", "stochastic", ("stochastic",))
    choice("merging.rule", "uniform", ("uniform",))
    choice("evaluation.inference", "native", ("native", "merged"))
    choice("consistency.task_loss", "first", ("first",))
    choice("prompt.template", "", ("",))
    if "preset" in tree:
        raise ValueError(f"{path}: `preset` is not expanded here; give the run's run.toml, which has its keys")
    for key in ("adaptation.sites", "adaptation.layers", "adaptation.train", "adaptation.rank_stabilized", "adaptation.parts_apart"):
        if get(key, None):
            raise ValueError(f"{path}: `{key}` is not understood here")
    rows = {"input.held_out": 0, "input.kept_for_merging": 0, "input.last_batch": "short", "few_shot.split": 0,
            "few_shot.per_class": 0}
    return Settings(
        other_rows=tuple(f"{key} = {get(key, plain)!r}" for key, plain in rows.items() if get(key, plain) != plain),
        seed=get("seed", 1),
        task=task,
        data=Path(get("data")),
        model=Path(get("model")),
        max_length=get("input.max_length", 512 if generates else 128),
        pad=choice("input.pad", "batch", ("batch", "max")),
        order=choice("input.order", "bucketed", ("shuffled", "bucketed")),
        window=get("input.window", 50),
        train_rows=get("input.train_rows", 0),
        pooling=choice("backbone.pooling", "pooler", ("pooler", "cls", "mean")),
        train_pooler=get("backbone.train_pooler", False),
        dropout=float(get("backbone.dropout", 0.0 if generates else 0.1)),
        method=method,
        bottleneck=get("adaptation.bottleneck", 16),
        rank=get("adaptation.rank", 4),
        alpha=float(get("adaptation.alpha", 32.0)),
        lora_dropout=float(get("adaptation.lora_dropout", 0.0)),
        experts=get("adaptation.experts", 4),
        share=choice("adaptation.share", "up", ("none", "up", "down", "both")),
        initializer_range=float(get("adaptation.initializer_range", 0.02)),
        label_smoothing=float(get("generation.label_smoothing", 0.1)),
        consistency_weight=float(get("consistency.weight", default_weight)),
        consistency_detach=get("consistency.detach", True),
        consistency_regression=choice("consistency.regression", "none", ("none", "mse")),
        learning_rate=float(get("optimizer.learning_rate", 1e-3)),
        weight_decay=float(get("optimizer.weight_decay", 0.1)),
        epsilon=float(get("optimizer.epsilon", 1e-8)),
        epsilon_placement=choice("optimizer.epsilon_placement", "uncorrected", ("uncorrected", "corrected")),
        beta1=float(get("optimizer.beta1", 0.9)),
        beta2=float(get("optimizer.beta2", 0.999)),
        max_grad_norm=float(get("optimizer.max_grad_norm", 1.0)),
        decay_all=get("optimizer.decay_all", False),
        unselected=choice("optimizer.unselected", "zero-grad", ("zero-grad", "skip")),
        epochs=get("schedule.epochs", 10),
        max_steps=get("schedule.max_steps", 0),
        warmup_ratio=float(get("schedule.warmup_ratio", 0.06)),
        warmup_steps=get("schedule.warmup_steps", 0),
        batch_size=get("schedule.batch_size", 32),
        accumulation=get("schedule.accumulation", 1),
        first_rate=choice("schedule.first_rate", "zero", ("zero", "step")),
        regression_floor=choice("evaluation.regression_floor", "none", ("none", "zero")),
    )


def _find(tree: dict[str, Any], key: str) -> Any:
    for part in key.split("."):
        if not isinstance(tree, dict) or part not in tree:
            return None
        tree = tree[part]
    return tree


def _assign(tree: dict[str, Any], key: str, value: Any) -> None:
    *tables, last = key.split(".")
    for part in tables:
        tree = tree.setdefault(part, {})
    tree[last] = value


def _value(text: str) -> Any:
    """A TOML value; anything that is not one is taken as a bare string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
