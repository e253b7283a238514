#!/usr/bin/env bash
# Every table and figure by one command, from nothing: no network, no shared data, no fonts of the system.
#
#   tools/smoke_test.sh [FOLDER]    # target/smoke without it
set -euo pipefail
cd "$(dirname "$0")/.."

program="$PWD/target/release/adamix"
[ -x "$program" ] || { echo "smoke: no $program; cargo build --release --workspace" >&2; exit 1; }
folder="${1:-target/smoke}"
rm -rf "$folder"
mkdir -p "$folder"
cd "$folder"

# A network of its own has nothing but a loopback that is down. Where the system does not allow one, the run is the same.
alone=()
if unshare --net --map-root-user true 2>/dev/null; then
    alone=(unshare --net --map-root-user)
fi
# A home and a temporary folder that are empty, and no variable of the caller.
mkdir home tmp
clean=(env -i PATH=/usr/bin:/bin HOME="$PWD/home" TMPDIR="$PWD/tmp" FONTCONFIG_FILE=/dev/null)

smoke() {
    "${alone[@]}" "${clean[@]}" "$program" reproduce all --profile smoke
}

start=$SECONDS
smoke
echo "smoke: everything in $((SECONDS - start)) s"

cd paper-results/smoke
missing=0
for table in table{1,2,3,4,5,6,7,8,9,10,11,12,14,15} storage memory claims; do
    for form in md csv tex; do
        [ -s "tables/$table.$form" ] || { echo "smoke: no tables/$table.$form" >&2; missing=1; }
    done
done
for figure in figure1 figure1-paper figure5 loss-synthetic learning-synthetic ablations usage entropy calibration storage storage-roberta-large; do
    for form in .svg -dark.svg .png -dark.png; do
        [ -s "figures/$figure$form" ] || { echo "smoke: no figures/$figure$form" >&2; missing=1; }
    done
done
[ -s report.html ] || { echo "smoke: no report.html" >&2; missing=1; }
[ "$missing" = 0 ]
if grep -rlE 'https?://' --include='*.html' --include='*.svg' . | xargs -r grep -hoE 'https?://[^"<> ]*' |
    grep -v '^http://www.w3.org/'; then
    echo "smoke: a page or figure asks for something from the network" >&2
    exit 1
fi

# Again: nothing to do. And from the records alone: the same bytes.
cd ../..
find paper-results -type f -print0 | sort -z | xargs -0 sha256sum > before
smoke | tee again
grep -q ': 0 runs done now' again
rm -r paper-results/smoke/tables paper-results/smoke/figures paper-results/smoke/report.html
"${clean[@]}" "$program" report --profile smoke
find paper-results -type f -print0 | sort -z | xargs -0 sha256sum | diff before -
echo "smoke: the same bytes from the records alone"
