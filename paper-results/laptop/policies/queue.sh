#!/usr/bin/env bash
# A sweep (`policies`, or the one that is named, such as `others`), then what each whole run is natively and merged
# (native.json, merged.json) and what every merging rule makes of the adapters that stochastic routing left behind
# (merging.json), here and in the foundation's runs. What is there is not done again, so the same command goes on after any
# interruption; `tables.py` reads these records alone.
set -euo pipefail
cd "$(dirname "$0")/../../.."
here=paper-results/laptop/policies
program=${ADAMIX:-target/release/adamix}

record() { # file command...
    local file=$1
    shift
    [ -e "$file" ] || { "$@" --json > "$file.tmp" && mv "$file.tmp" "$file"; }
}

rules=()
for rule in uniform ties dare magnitude concatenation product-svd fisher regmean greedy-soup learned-soup; do
    rules+=(--rule "$rule")
done

nice -n 19 "$program" sweep run "$here/${1:-policies}.toml" --runs $here/runs --workers 1
for result in $here/runs/*/result.json; do
    run=${result%/result.json}
    [ -d "$run/adapter/last" ] || continue
    for mode in native merged; do
        record "$run/$mode.json" nice -n 19 "$program" evaluate "$run" --state last --inference $mode
    done
    if grep -q '^policy = "stochastic"$' "$run/run.toml" && grep -q '^method = "adamix"$' "$run/run.toml"; then
        record "$run/merging.json" nice -n 19 "$program" merge "$run" --state last "${rules[@]}"
    fi
done
for run in paper-results/laptop/foundation/runs/{stsb,rte}/adamix-1; do
    [ -d "$run/adapter/last" ] || continue
    record "$run/merging.json" nice -n 19 "$program" merge "$run" --state last "${rules[@]}"
done
