"""GLUE metrics, by scikit-learn and scipy."""

from __future__ import annotations

import numpy as np
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef


def score(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Metrics of `[rows, outputs]` logits; with one output they are scores and labels are real."""
    if logits.shape[1] == 1:
        return {"pearson": float(pearsonr(logits[:, 0], labels)[0]),
                "spearman": float(spearmanr(logits[:, 0], labels)[0])}
    guess = logits.argmax(1)
    metrics = {"accuracy": float(accuracy_score(labels, guess))}
    if logits.shape[1] == 2:
        metrics["f1"] = float(f1_score(labels, guess))
        metrics["matthews"] = float(matthews_corrcoef(labels, guess))
    return metrics
