#!/usr/bin/env python3
"""The tables of README.md: means over seeds with 95 % intervals (Student's t), from records alone.

    tables.py policies RUNS           every whole run of a folder as its policy runs it, and merged (`adamix evaluate`)
    tables.py merging merging.jsonl   every rule: score, distance from the ensemble, agreement
"""

import json
import math
import os
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

# 0.975 quantiles of Student's t by degrees of freedom.
T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


def interval(values):
    """`mean ± half` or the mean alone."""
    mean = sum(values) / len(values)
    if len(values) < 2:
        return f"{mean:.4f}"
    deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))
    return f"{mean:.4f} ± {T.get(len(values) - 1, 1.96) * deviation / math.sqrt(len(values)):.4f}"


def row(cells):
    print("| " + " | ".join(cells) + " |")


def policies(stores):
    program = os.environ.get("ADAMIX", "target/release/adamix")
    found = defaultdict(lambda: defaultdict(list))
    folders = (result.parent for store in stores for result in sorted(Path(store).glob("*/result.json")))
    for folder in folders:
        policy = tomllib.loads((folder / "run.toml").read_text()).get("routing", {}).get("policy", "stochastic")
        for mode in ("native", "merged"):
            call = [program, "evaluate", folder, "--state", "last", "--inference", mode, "--json"]
            metrics = json.loads(subprocess.run(call, check=True, capture_output=True).stdout)["metrics"]
            for name in ("accuracy", "f1"):
                found[policy][mode, name].append(metrics[name])
    row(["policy", "seeds", "native accuracy", "native F1", "merged accuracy", "merged F1"])
    row(["---"] * 6)
    for policy, columns in found.items():
        seeds = len(columns["native", "accuracy"])
        row([policy, str(seeds), *(interval(columns[m, n]) for m in ("native", "merged") for n in ("accuracy", "f1"))])


def merging(files):
    found = defaultdict(lambda: defaultdict(list))
    for file in files:
        for line in Path(file).read_text().splitlines():
            report = json.loads(line)
            columns = found[report["merging"]["rule"]]
            columns["accuracy"].append(report["merged"]["accuracy"])
            columns["ensemble"].append(report["ensemble"]["accuracy"])
            columns["logits"].append(report["distance"]["logits"])
            columns["agreement"].append(report["distance"]["agreement"])
    row(["rule", "runs", "accuracy", "of the ensemble", "distance of the logits", "agreement"])
    row(["---"] * 6)
    for rule, columns in found.items():
        row([rule, str(len(columns["accuracy"])), *map(interval, columns.values())])


if __name__ == "__main__":
    {"policies": policies, "merging": merging}[sys.argv[1]](sys.argv[2:])
