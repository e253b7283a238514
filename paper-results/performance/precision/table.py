#!/usr/bin/env python3
"""What bf16 costs in accuracy: runs paired by all of their config but the precision. `table.py STORE...`

The interval is Student's t over the seeds' differences, 95 %. Rows differ where the two models of a pair predict another
class; a sign test over these rows of all seeds says how likely a split as uneven is by chance.
"""

import json
import math
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776}  # 0.975 quantiles of Student's t by degrees of freedom


def runs(stores):
    """Config without precision, precision, folder of every whole run."""
    for result in sorted(file for store in stores for file in Path(store).glob("*/result.json")):
        config = tomllib.loads((result.parent / "run.toml").read_text())
        # Keys that say where, not what; and keys that came later than some of the runs, at their defaults.
        config.pop("checkpoint", None)
        config["optimizer"].pop("epsilon_placement", None)
        config["adaptation"].pop("parts_apart", None)
        precision = config["backbone"].pop("precision")
        yield json.dumps(config, sort_keys=True), config, precision, result.parent


def labels(folder):
    lines = (folder / "predictions" / "last.jsonl").read_text().splitlines()
    return [json.loads(line)["label"] for line in lines]


def score(folder):
    return json.loads((folder / "result.json").read_text())["last"]["metrics"]["accuracy"]


def sign_test(better, worse):
    count, least = better + worse, min(better, worse)
    return min(1.0, 2 * sum(math.comb(count, k) for k in range(least + 1)) / 2**count) if count else 1.0


def main(stores):
    pairs = defaultdict(dict)
    tasks = {}
    for key, config, precision, folder in runs(stores):
        pairs[key][precision] = folder
        tasks[key] = config["task"]
    found = defaultdict(list)
    for key, pair in pairs.items():
        if len(pair) == 2:
            found[tasks[key]].append((pair["f32"], pair["bf16"]))
    print("| task | seeds | f32 | bf16 | bf16 less f32 | rows that differ | better, worse in bf16 | sign test |")
    print("|---|---|---|---|---|---|---|---|")
    for task, folders in sorted(found.items()):
        full, half = [score(f) for f, _ in folders], [score(h) for _, h in folders]
        differences = [h - f for f, h in zip(full, half)]
        mean = sum(differences) / len(differences)
        interval = ""
        if len(differences) > 1:
            deviation = math.sqrt(sum((d - mean) ** 2 for d in differences) / (len(differences) - 1))
            interval = f" ± {100 * T[len(differences) - 1] * deviation / math.sqrt(len(differences)):.2f}"
        differ, rows, better, worse = 0, 0, 0, 0
        for (f, h), gain in zip(folders, differences):
            one, other = labels(f), labels(h)
            apart = sum(a != b for a, b in zip(one, other, strict=True))
            # Of rows with two classes that differ, one model is right in each: the gain tells how they split.
            net = round(gain * len(one))
            differ, rows = differ + apart, rows + len(one)
            better, worse = better + (apart + net) // 2, worse + (apart - net) // 2
        print(f"| {task} | {len(folders)} | {100 * sum(full) / len(full):.2f} | {100 * sum(half) / len(half):.2f} | "
              f"{100 * mean:+.2f}{interval} | {differ} of {rows} | {better}, {worse} | {sign_test(better, worse):.2f} |")


if __name__ == "__main__":
    main(sys.argv[1:])
