#!/usr/bin/env bash
# Every run of the table, in the order of its worth. A run that is there is not run again, so the same command goes
# on after any interruption. Needs the program built and the data beside the checkout (../shared).
set -euo pipefail
cd "$(dirname "$0")/../../.."
here=paper-results/laptop/foundation
program=${ADAMIX:-target/release/adamix}

run() { # task method seed learning-rate [further settings]
    local task=$1 method=$2 seed=$3 rate=$4
    local name=$task/$method-$seed
    shift 4
    local settings=()
    for setting in "$@"; do
        settings+=(--set "$setting")
        name+=-${setting#*=}
    done
    nice -n 19 "$program" train --config "$here/$task.toml" --out "$here/runs/$name" --trace \
        --set "adaptation.method=$method" --set "seed=$seed" --set "optimizer.learning_rate=$rate" "${settings[@]}"
}

task() { # task seed
    run "$1" head "$2" 5e-3
    run "$1" adamix "$2" 2e-3
    run "$1" adapter "$2" 2e-3
    run "$1" full "$2" 1e-4
}

task mrpc 1
task stsb 1
task rte 1
task mrpc 2
task mrpc 3
for pooling in cls pooler; do
    run mrpc head 1 5e-3 "backbone.pooling=$pooling"
done
run mrpc head 1 5e-3 backbone.pooling=pooler backbone.train_pooler=true
# How far another seed moves RTE.
run rte full 2 1e-4
