#!/usr/bin/env bash
# Every run of the table, in the order of its worth. A run that is there is not run again and one that was stopped goes
# on, so the same command goes on after any interruption. Needs the program built and ADAMIX_SHARED set; further
# arguments go to every run, such as --set model=DIR.
set -euo pipefail
cd "$(dirname "$0")/../../.."
here=paper-results/laptop/e2e
program=${ADAMIX:-target/release/adamix}
runs=${RUNS:-runs/e2e}

run() { # method learning-rate
    local out=$runs/$1
    "$program" train --config "$here/e2e.toml" --out "$out" \
        --set "adaptation.method=$1" --set "optimizer.learning_rate=$2" "${further[@]}"
    # The record, without the data set's inputs and without tensors.
    mkdir -p "$here/runs/$1"
    cp "$out"/{run.toml,result.json,timings.jsonl} "$out/predictions/last.txt" "$here/runs/$1/"
    "$program" score e2e --refs "$ADAMIX_SHARED/data/e2e/csv/testset_w_refs.csv" --hyps "$here/runs/$1/last.txt" \
        --python-mteval --json > "$here/runs/$1/scores.json"
    grep '"split"' "$out/metrics.jsonl" > "$here/runs/$1/dev.jsonl"
}

further=("$@")
run full 1e-3
run adamix-lora 5e-3
run lora 5e-3
run adamix 5e-3
run adapter 5e-3
