"""Writes the small `.bin` files that the tests of the loralib reader read, and what torch makes of them.

usage: make_loralib_fixture.py OUT_DIR

The files have the names and shapes of Microsoft's loralib: `encoder` as `roberta_base_lora_mnli.bin` (plain maps and a
head), `decoder` as the GPT-2 files (a fused map whose queries and values have updates, under `model_state_dict`). The
JSON holds each map's dense update as loralib computes it: `lora_B @ lora_A`, or a grouped convolution for a fused map.
"""

import json
import pathlib
import sys

import torch
import torch.nn.functional as F

ALPHA, RANK, WIDTH = 6, 2, 4


def values(*shape):
    return (torch.randint(-8, 9, shape) / 8).float()


def rows(tensor):
    return [[round(float(v), 6) for v in row] for row in tensor]


def main():
    out = pathlib.Path(sys.argv[1])
    torch.manual_seed(1)
    encoder, updates = {}, {}
    for part in ("query", "value"):
        module = f"roberta.encoder.layer.0.attention.self.{part}"
        a, b = values(RANK, WIDTH), values(WIDTH, RANK)
        encoder[f"{module}.lora_A"], encoder[f"{module}.lora_B"] = a, b
        updates[module] = rows(b @ a * ALPHA / RANK)
    encoder["classifier.out_proj.weight"] = values(3, WIDTH).half()
    encoder["classifier.out_proj.bias"] = values(3)
    torch.save(encoder, out / "loralib_encoder.bin")

    module = "transformer.h.0.attn.c_attn"
    a, b = values(2 * RANK, WIDTH), values(2 * WIDTH, RANK)
    torch.save({"model_state_dict": {f"{module}.lora_A": a, f"{module}.lora_B": b}}, out / "loralib_decoder.bin")
    product = F.conv1d(a.unsqueeze(0), b.unsqueeze(-1), groups=2).squeeze(0) * ALPHA / RANK
    whole = torch.zeros(3 * WIDTH, WIDTH)
    whole[:WIDTH], whole[2 * WIDTH:] = product[:WIDTH], product[WIDTH:]
    updates[module] = rows(whole)
    text = json.dumps({"alpha": ALPHA, "head": rows(encoder["classifier.out_proj.weight"].float()), "updates": updates})
    (out / "loralib.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
