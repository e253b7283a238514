#!/usr/bin/env bash
# The runs in bf16 and those that they are paired with. The same command goes on after any interruption.
set -euo pipefail
cd "$(dirname "$0")/../../.."
here=paper-results/performance/precision
program=${ADAMIX:-target/release/adamix}
for sweep in sst2 mrpc; do
    nice -n 19 "$program" sweep run $here/$sweep.toml --runs $here/runs --workers "${WORKERS:-1}"
done
