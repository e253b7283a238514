#!/usr/bin/env python3
"""What each fused operation gives: a MiniLM step (32 x 64 tokens, two passes, dropout 0.1) with all fused, and with one, or all,
composed of Burn's own operations.

    cargo build --release --workspace --features adamix-experiments/ladder
    paper-results/performance/ladder.py [--rounds 2] [OPERATION...]

The programs take turns, so that each ratio is of neighbours in time. Nothing else should run.
"""

import argparse
import json
import os
import statistics
import subprocess

OPERATIONS = ["attention", "gelu", "gelu-linear", "layer-norm", "linear", "dropout", "cross-entropy", "all"]
BENCH = "bench --architecture minilm-l6 --batch 32 --tokens 64 --passes 2 --repeats 3 --json".split()


def bench(program, composed):
    """Median seconds of a step, and the most memory in megabytes."""
    found = subprocess.run([program, *BENCH], env=os.environ | {"ADAMIX_COMPOSED": composed}, check=True,
                           capture_output=True, text=True)
    found = json.loads(found.stdout)
    return found["median_seconds"], found["peak_memory_bytes"] / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("operations", nargs="*", default=OPERATIONS)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--program", default="target/release/adamix")
    args = parser.parse_args()
    print("| operation | fused | composed | ratio | fused | composed |\n|---|---|---|---|---|---|")
    for operation in args.operations:
        on, off = zip(*[(bench(args.program, ""), bench(args.program, operation)) for _ in range(args.rounds)])
        ratio = statistics.median(b[0] / a[0] for a, b in zip(on, off))
        times = [statistics.median(run[0] for run in side) for side in (on, off)]
        memory = [max(run[1] for run in side) for side in (on, off)]
        print(f"| {operation} | {times[0]:.2f} s | {times[1]:.2f} s | {ratio:.2f} | {memory[0]:.0f} MB | {memory[1]:.0f} MB |",
              flush=True)


if __name__ == "__main__":
    main()
