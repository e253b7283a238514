"""Merges three low-rank adapters with Python's `peft` and writes what it made of them.

    python tools/merge_reference.py > adamix-core/tests/fixtures/peft_merging.json

The test `peft_merging` holds our rules to these values. The adapters are random and of our own drawing.
"""

import json

import torch
from peft import LoraConfig, get_peft_model

ADAPTERS = ["a", "b", "c"]
RANK, ALPHA = 2, 3
CASES = {
    "linear": {"combination_type": "linear"},
    "cat": {"combination_type": "cat"},
    "svd": {"combination_type": "svd", "svd_rank": RANK},
    "ties_total": {"combination_type": "ties", "density": 0.4, "majority_sign_method": "total"},
    "ties_frequency": {"combination_type": "ties", "density": 0.6, "majority_sign_method": "frequency"},
    "magnitude_prune": {"combination_type": "magnitude_prune", "density": 0.5},
}


class Base(torch.nn.Module):
    """One map, which the adapters sit on."""

    def __init__(self):
        super().__init__()
        self.map = torch.nn.Linear(6, 5, bias=False)

    def forward(self, x):
        return self.map(x)


def rounded(tensor):
    """Nested lists with as many digits as a 32-bit float has."""
    if tensor.dim() > 1:
        return [rounded(row) for row in tensor]
    return [float(f"{v:.9g}") for v in tensor.tolist()]


def main():
    torch.manual_seed(7)
    config = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=["map"])
    model = get_peft_model(Base(), config, adapter_name="a")
    for name in ADAPTERS[1:]:
        model.add_adapter(name, config)
    layer = model.base_model.model.map
    experts = []
    for name in ADAPTERS:
        down, up = layer.lora_A[name].weight, layer.lora_B[name].weight
        down.data, up.data = torch.randn_like(down), torch.randn_like(up)
        experts.append({"a": rounded(down.data), "b": rounded(up.data)})
    # Weights of 1 / M, as the mean has them; ties and pruning take the square root of weight times scale
    # on each factor, which the test undoes.
    weights = [1 / len(ADAPTERS)] * len(ADAPTERS)
    cases = {}
    for name, options in CASES.items():
        model.base_model.add_weighted_adapter(ADAPTERS, weights, name, **options)
        cases[name] = {
            "a": rounded(layer.lora_A[name].weight.data),
            "b": rounded(layer.lora_B[name].weight.data),
            "update": rounded(layer.get_delta_weight(name).detach()),
        }
    print(json.dumps({"scale": ALPHA / RANK, "experts": experts, "cases": cases}))


if __name__ == "__main__":
    main()
