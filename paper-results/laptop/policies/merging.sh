#!/usr/bin/env bash
# Every merging rule on the adapters that runs left behind: one JSON report a line. A rule that cannot merge a run (product-svd
# needs linear modules) is named on standard error and left out.
#   paper-results/laptop/policies/merging.sh runs/ID ... > merging.jsonl
set -euo pipefail
program=${ADAMIX:-target/release/adamix}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for run in "$@"; do
    for rule in uniform ties dare magnitude concatenation product-svd fisher regmean greedy-soup learned-soup; do
        if "$program" merge "$run" --rule "$rule" --out "$work/merged" --json > "$work/report" 2> "$work/said"; then
            tr -d '\n' < "$work/report"
            echo
        else
            echo "$run, $rule: $(tail -1 "$work/said")" >&2
        fi
        rm -rf "$work/merged"
    done
done
