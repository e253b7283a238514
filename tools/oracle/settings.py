"""The keys of a run's configuration (`run.toml`) that the reference scripts understand."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    length_buckets: int
    pooling: str
    train_pooler: bool
    dropout: float
    method: str
    bottleneck: int
    experts: int
    share: str
    consistency_weight: float
    consistency_detach: bool
    consistency_regression: str
    learning_rate: float
    weight_decay: float
    epsilon: float
    beta1: float
    beta2: float
    max_grad_norm: float
    unselected: str
    epochs: int
    warmup_ratio: float
    batch_size: int
    accumulation: int
    first_rate: str

    @property
    def down_experts(self) -> int:
        """Modules on the down side (0 when nothing is adapted)."""
        return self._side("down")

    @property
    def up_experts(self) -> int:
        """Modules on the up side (0 when nothing is adapted)."""
        return self._side("up")

    def _side(self, side: str) -> int:
        if self.method == "adapter":
            return 1
        if self.method != "adamix":
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
    def get(keys: str, default: Any = _REQUIRED) -> Any:
        """The first of the space-separated dotted keys that is present."""
        for key in keys.split():
            found = _find(tree, key)
            if found is not None:
                return found
        if default is _REQUIRED:
            raise ValueError(f"{path}: key `{keys.split()[0]}` is missing")
        return default

    def choice(keys: str, default: str, allowed: tuple[str, ...]) -> str:
        value = get(keys, default)
        if value not in allowed:
            raise ValueError(f"{path}: `{keys.split()[0]}` is {value!r}, not one of {', '.join(allowed)}")
        return value

    choice("adaptation.activation", "gelu", ("gelu",))
    return Settings(
        seed=get("seed", 0),
        task=get("task").lower(),
        data=Path(get("data")),
        model=Path(get("model")),
        max_length=get("input.max_length", 128),
        pad=choice("input.pad", "batch", ("batch", "max")),
        length_buckets=int(get("input.length_buckets", 0)),
        pooling=choice("backbone.pooling", "pooler", ("pooler", "cls", "mean")),
        train_pooler=get("backbone.train_pooler", False),
        dropout=float(get("backbone.dropout", 0.1)),
        method=choice("adaptation.method", "adamix", ("adamix", "adapter", "head", "full")),
        bottleneck=get("adaptation.bottleneck", 48),
        experts=get("adaptation.experts", 4),
        share=choice("adaptation.share", "up", ("none", "up", "down", "both")),
        consistency_weight=float(get("consistency.weight", 0.0)),
        consistency_detach=get("consistency.detach", True),
        consistency_regression=choice("consistency.regression", "none", ("none", "mse")),
        learning_rate=float(get("optimizer.learning_rate")),
        weight_decay=float(get("optimizer.weight_decay", 0.1)),
        epsilon=float(get("optimizer.epsilon", 1e-8)),
        beta1=float(get("optimizer.beta1", 0.9)),
        beta2=float(get("optimizer.beta2", 0.999)),
        max_grad_norm=float(get("optimizer.max_grad_norm", 1.0)),
        unselected=choice("optimizer.unselected", "zero-grad", ("zero-grad", "skip")),
        epochs=int(get("schedule.epochs")),
        warmup_ratio=float(get("schedule.warmup_ratio", 0.06)),
        batch_size=get("schedule.batch_size"),
        accumulation=get("schedule.accumulation", 1),
        first_rate=choice("schedule.first_rate", "zero", ("zero", "step")),
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
