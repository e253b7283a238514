#!/usr/bin/env bash
# The same recipe in PyTorch (`tools/train_reference.py`, its own random draws), seed 1: pytorch/<task>/<method>/result.json.
# What is there is not run again. PYTHON is an interpreter with tools/requirements.txt.
set -euo pipefail
cd "$(dirname "$0")/../../.."
here=paper-results/laptop/foundation
python=${PYTHON:-python3}

run() { # task method learning-rate
    local out=$here/pytorch/$1/$2
    [ -e "$out/result.json" ] || nice -n 19 "$python" tools/train_reference.py "$here/$1.toml" --out "$out" --threads "${THREADS:-1}" \
        --set "adaptation.method=$2" --set seed=1 --set "optimizer.learning_rate=$3"
}

# In the order of their worth.
run mrpc adamix 2e-3
run mrpc full 1e-4
for method in adamix adapter; do
    run stsb $method 2e-3
done
run stsb full 1e-4
run rte adamix 2e-3
run rte full 1e-4
for task in mrpc rte; do
    run $task adapter 2e-3
done
for task in mrpc stsb rte; do
    run $task head 5e-3
done
