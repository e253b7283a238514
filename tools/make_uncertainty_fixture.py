"""Writes the values that our calibration and uncertainty figures are compared with, by scikit-learn and NumPy.

    venv/bin/python tools/make_uncertainty_fixture.py
"""

import json
from pathlib import Path

import numpy as np
from sklearn.calibration import calibration_curve

ROOT = Path(__file__).resolve().parent.parent
ROWS, CLASSES, PATHS, BINS = 200, 3, 5, 15


def softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def entropy(shares):
    return -(shares * np.log(shares)).sum(-1)


def rounded(values):
    return [float(f"{value:.9g}") for value in np.asarray(values, dtype=float).ravel()]


def write(path, record):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, separators=(",", ":")) + "\n")


def main():
    draw = np.random.default_rng(5)
    shared = draw.normal(size=(1, ROWS, CLASSES)) * 2
    paths = np.round(shared + draw.normal(size=(PATHS, ROWS, CLASSES)), 4)
    shares = softmax(paths)
    mean = shares.mean(0)
    total, own = entropy(mean), entropy(shares).mean(0)
    few = 12
    write(
        ROOT / "adamix-core/tests/fixtures/uncertainty.json",
        {
            "paths": [rounded(path[:few]) for path in paths],
            "classes": CLASSES,
            "mean": rounded(mean[:few]),
            "entropy": rounded(total[:few]),
            "mutual_information": rounded((total - own)[:few]),
        },
    )
    confidence = np.round(mean.max(-1), 6)
    right = mean.argmax(-1) == draw.integers(0, CLASSES, ROWS)
    accuracies, confidences = calibration_curve(right, confidence, n_bins=BINS, strategy="uniform")
    edges = np.linspace(0, 1, BINS + 1)
    counts = np.bincount(np.searchsorted(edges[1:-1], confidence), minlength=BINS)
    filled = counts[counts > 0]
    error = (filled * np.abs(accuracies - confidences)).sum() / ROWS
    write(
        ROOT / "adamix-data/tests/fixtures/calibration.json",
        {
            "bins": BINS,
            "confidence": rounded(confidence),
            "right": [int(r) for r in right],
            "counts": [int(count) for count in counts],
            "accuracies": rounded(accuracies),
            "confidences": rounded(confidences),
            "error": float(error),
        },
    )


if __name__ == "__main__":
    main()
