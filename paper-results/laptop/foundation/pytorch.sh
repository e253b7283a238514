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

for task in mrpc stsb rte; do
    run $task adamix 2e-3
    run $task adapter 2e-3
    run $task full 1e-4
    run $task head 5e-3
done
