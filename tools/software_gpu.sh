#!/bin/sh
# Trains the embedded default for a few steps on a software GPU (SwiftShader, a Vulkan driver for the CPU) and on the CPU
# backend, and compares the figures. Opt-in, not a part of CI. Built without optimisation, as only the figures matter, and
# with WGSL shaders (`wgpu`): SwiftShader cannot run the SPIR-V that Burn writes for `vulkan` (it warns of "UNREACHABLE:
# TypePointer", and matrix products come out wrong).
#
# usage: tools/software_gpu.sh [WORK_DIR]        (Debian or Ubuntu with apt-get; nothing is installed)
#
# Needs no GPU. WORK_DIR (default target/software-gpu) keeps the build and the driver for the next time.
set -eu
cd "$(dirname "$0")/.."
work=${1:-target/software-gpu}
mkdir -p "$work"
work=$(cd "$work" && pwd)

# The driver: Debian's chromium-common carries it; Mesa's lavapipe (22.3) crashes.
if [ ! -f "$work/driver/usr/lib/chromium/vk_swiftshader_icd.json" ]; then
    (cd "$work" && apt-get download chromium-common && dpkg -x chromium-common_*.deb driver && rm chromium-common_*.deb)
fi
driver="$work/driver/usr/lib/chromium"
export VK_ICD_FILENAMES="$driver/vk_swiftshader_icd.json" VK_DRIVER_FILES="$driver/vk_swiftshader_icd.json"
export LD_LIBRARY_PATH="$driver${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" XDG_RUNTIME_DIR="$work"

CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$work/build}
export CARGO_TARGET_DIR
CARGO_PROFILE_RELEASE_OPT_LEVEL=0 cargo build --release --workspace --features wgpu
adamix="$CARGO_TARGET_DIR/release/adamix"

for method in adamix adamix-lora; do
    for device in flex wgpu; do
        out="$work/$method-$device"
        rm -rf "$out"
        "$adamix" train --out "$out" --device "$device" --set "adaptation.method=$method" \
            --set schedule.max_steps=12 --set schedule.batch_size=8 --set schedule.epochs=1 \
            --set input.train_rows=128 --set input.held_out=0.1
    done
    python3 - "$method" "$work/$method-flex/metrics.jsonl" "$work/$method-wgpu/metrics.jsonl" <<'PYTHON'
import json
import sys

method, files = sys.argv[1], sys.argv[2:]
one, other = ([json.loads(line) for line in open(file)] for file in files)
assert len(one) == len(other) > 0, "another number of lines"
worst = {}
for a, b in zip(one, other):
    for name in ("loss", "task_loss", "consistency_loss", "grad_norm"):
        if isinstance(a.get(name), float):
            # A small divergence is a difference of near-equals: below 0.01 it is taken relative to 0.01.
            distance = abs(a[name] - b[name]) / max(abs(a[name]), 0.01)
            worst[name] = max(worst.get(name, 0.0), distance)
steps = sum("loss" in line for line in one)
print(f"{method}: {steps} steps, largest relative difference:", ", ".join(f"{n} {v:.1e}" for n, v in worst.items()))
sys.exit(max(worst.values()) > 1e-3)
PYTHON
done
