#!/usr/bin/env python3
"""The tables of README.md: means over seeds with 95 % intervals (Student's t), from the records that queue.sh leaves.

    tables.py policies RUNS...   every run with native.json and merged.json
    tables.py seeds RUNS...      the last epoch of every run, as its policy runs it, seed by seed
    tables.py merging RUNS...    every run with merging.json, one table a task: score, distance from the ensemble
"""

import json
import math
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

# 0.975 quantiles of Student's t by degrees of freedom.
T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


def interval(values):
    """`mean ± half` or the mean alone; a dash where there is nothing to average, as with agreement of scores."""
    if any(math.isnan(value) for value in values):
        return "–"
    mean = sum(values) / len(values)
    if len(values) < 2:
        return f"{mean:.4f}"
    deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))
    return f"{mean:.4f} ± {T.get(len(values) - 1, 1.96) * deviation / math.sqrt(len(values)):.4f}"


def row(cells):
    print("| " + " | ".join(cells) + " |")


def configs(stores, record):
    """Config and record of every run that has one."""
    for file in sorted(file for store in stores for file in Path(store).glob(f"*/{record}.json")):
        yield file.parent, tomllib.loads((file.parent / "run.toml").read_text()), json.loads(file.read_text())


def name_of(config):
    """The policy, with what else sets a run apart from AdaMix with a shared up side."""
    adaptation, loss = config["adaptation"], config["consistency"]
    name = config["routing"]["policy"] if adaptation["method"].startswith("adamix") else adaptation["method"]
    further = []
    if adaptation["method"] == "adamix-lora":
        further.append("LoRA")
    if adaptation["method"].startswith("adamix") and adaptation["share"] != "up":
        further.append({"none": "nothing shared", "down": "down shared", "both": "both shared"}[adaptation["share"]])
    if loss["task_loss"] == "both":
        further.append(f"both losses, weight {loss['weight']:g}")
    if config["input"]["kept_for_merging"]:
        further.append(f"{config['input']['kept_for_merging']:g} of the rows kept")
    return ", ".join([name, *further])


def policies(stores):
    found = defaultdict(lambda: defaultdict(list))
    for mode in ("native", "merged"):
        for _, config, record in configs(stores, mode):
            for name in ("accuracy", "f1"):
                found[name_of(config)][mode, name].append(record["metrics"][name])
    row(["policy", "seeds", "native accuracy", "native F1", "merged accuracy", "merged F1"])
    row(["---"] * 6)
    for policy, columns in sorted(found.items()):
        seeds = len(columns["merged", "accuracy"])
        row([policy, str(seeds), *(interval(columns[m, n]) for m in ("native", "merged") for n in ("accuracy", "f1"))])


def seeds(stores):
    found = defaultdict(dict)
    for _, config, record in configs(stores, "result"):
        scores = record["last"]["metrics"]
        found[name_of(config), record["inference"]][config["seed"]] = f"{100 * scores['accuracy']:.1f} / {100 * scores['f1']:.1f}"
    columns = sorted({seed for by_seed in found.values() for seed in by_seed})
    row(["policy", "run as", *(f"seed {seed}" for seed in columns)])
    row(["---"] * (2 + len(columns)))
    for (policy, inference), by_seed in sorted(found.items()):
        row([policy, inference, *(by_seed.get(seed, "not run") for seed in columns)])


# The metric that a task is told by.
SCORE = {"mrpc": "accuracy", "rte": "accuracy", "stsb": "pearson"}


def merging(stores):
    tasks = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    refused = {}
    for _, config, rules in configs(stores, "merging"):
        name = SCORE[config["task"]]
        for report in rules:
            rule = report["merging"]["rule"]
            if "refused" in report:
                refused[rule] = report["refused"]
                continue
            columns = tasks[config["task"]][rule]
            columns["merged"].append(report["merged"][name])
            columns["ensemble"].append(report["ensemble"][name])
            columns["logits"].append(report["distance"]["logits"])
            agreement = report["distance"]["agreement"]
            columns["agreement"].append(math.nan if agreement is None else agreement)
    for task, rules in sorted(tasks.items()):
        print(f"{task}, {SCORE[task]}:\n")
        row(["rule", "runs", "merged", "ensemble", "distance of the logits", "agreement"])
        row(["---"] * 6)
        for rule, columns in rules.items():
            row([rule, str(len(columns["merged"])), *map(interval, columns.values())])
        print()
    for rule, why in refused.items():
        print(f"`{rule}` refused: {why}")


if __name__ == "__main__":
    {"policies": policies, "seeds": seeds, "merging": merging}[sys.argv[1]](sys.argv[2:])
