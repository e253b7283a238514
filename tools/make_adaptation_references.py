"""What PyTorch, transformers and peft give for every adaptation, on tiny models.

usage: make_adaptation_references.py GOLDEN_HF_FOLDER OUT.json
needs: torch, transformers, peft

Every trained value is a function of the parameter's name in an adamix adapter and of its place in the
file: 0.2 sin(1.3 i + phase), where the phase is the sum of the name's bytes modulo 97. So the file holds
outputs only. Where peft has an adaptation, peft computes it; the others are hooks on transformers' models,
written from their definitions.
"""
import json
import math
import sys

import torch
from peft import IA3Config, LoraConfig, PrefixTuningConfig, PromptTuningConfig, get_peft_model
from transformers import AutoModel, GPT2LMHeadModel

torch.set_grad_enabled(False)
folder, out = sys.argv[1], sys.argv[2]
IDS = [[0, 317, 297, 286, 359, 18, 2], [0, 55, 262, 326, 2, 1, 1]]
MASK = [[1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0, 0]]
GPT2_IDS = [[11, 317, 297, 286, 359, 18, 25]]
WIDTH, LAYERS, HEADS, INNER, LENGTH, DOWN = 48, 3, 4, 96, 4, 5


def values(name, *shape):
    phase = sum(name.encode()) % 97
    flat = [0.2 * math.sin(1.3 * i + phase) for i in range(math.prod(shape))]
    return torch.tensor(flat, dtype=torch.float64).float().reshape(shape)


def table(name, rows, width):
    return values(f"{name}.0.weight", width, rows).T


def encoder(kind):
    model = AutoModel.from_pretrained(f"{folder}/{kind}-tiny", add_pooling_layer=False).eval()
    return model, f"{kind}.encoder.layer"


def run_encoder(model):
    ids, mask = torch.tensor(IDS), torch.tensor(MASK)
    hidden = model(input_ids=ids, attention_mask=mask, token_type_ids=torch.zeros_like(ids)).last_hidden_state
    hidden = hidden[:, -ids.shape[1]:]
    return [round(float(v), 6) for row, m in zip(hidden, MASK) for v in row[: sum(m), ::12].flatten()]


def run_gpt2(model):
    logits = model(input_ids=torch.tensor(GPT2_IDS)).logits[:, -len(GPT2_IDS[0]):]
    return [round(float(v), 6) for v in logits[0, :, ::400].flatten()]


def gate(prefix, x, mask):
    w, b = values(f"{prefix}.gate.weight", 1, WIDTH), values(f"{prefix}.gate.bias", 1)
    opened = torch.sigmoid(x @ w.T + b)
    mask = torch.tensor(mask, dtype=torch.float32)
    return ((opened[..., 0] * mask).sum(1) / mask.sum(1)).view(-1, 1, 1)


def bottleneck(site, act, bias=True, norm=False):
    p = f"{site}.adamix"
    down, up = values(f"{p}.down.0.weight", DOWN, WIDTH), values(f"{p}.up.0.weight", WIDTH, DOWN)
    down_bias = values(f"{p}.down.0.bias", DOWN) if bias else 0
    up_bias = values(f"{p}.up.0.bias", WIDTH) if bias else 0

    def branch(x):
        if norm:
            x = torch.nn.functional.layer_norm(x, (WIDTH,), values(f"{p}.norm.weight", WIDTH), values(f"{p}.norm.bias", WIDTH))
        return act(x @ down.T + down_bias) @ up.T + up_bias

    return branch


silu, relu, linear = torch.nn.functional.silu, torch.relu, lambda x: x


def houlsby(kind, act=silu, bias=True):
    model, base = encoder(kind)
    for i, layer in enumerate(model.encoder.layer):
        for module, site in ((layer.attention.output, f"{base}.{i}.attention.output"), (layer.output, f"{base}.{i}.output")):
            branch = bottleneck(site, act, bias)
            module.dropout.register_forward_hook(lambda m, a, y, branch=branch: y + branch(y))
    return run_encoder(model)


def pfeiffer(kind, gated=False):
    model, base = encoder(kind)
    for i, layer in enumerate(model.encoder.layer):
        site = f"{base}.{i}.output"
        branch, norm = bottleneck(site, relu), layer.output.LayerNorm

        def hook(m, args, branch=branch, site=site):
            s = args[0]
            read = torch.nn.functional.layer_norm(s, (WIDTH,), m.weight, m.bias, m.eps)
            added = branch(read)
            return (s + (added * gate(f"{site}.adamix", read, MASK) if gated else added),)

        norm.register_forward_pre_hook(hook)
    return run_encoder(model)


def parallel(kind):
    model, base = encoder(kind)
    for i, layer in enumerate(model.encoder.layer):
        branch, seen = bottleneck(f"{base}.{i}.output", relu), {}
        layer.intermediate.register_forward_pre_hook(lambda m, a, seen=seen: seen.update(x=a[0]))
        layer.output.dropout.register_forward_hook(lambda m, a, y, b=branch, seen=seen: y + b(seen["x"]))
    return run_encoder(model)


def first(y):
    return y[0] if isinstance(y, tuple) else y


def again(y, new):
    return (new, *y[1:]) if isinstance(y, tuple) else new


def lin(model, layers, base, run):
    for i, layer in enumerate(layers):
        branch = bottleneck(f"{base}.{i}", relu, norm=True)
        layer.register_forward_hook(lambda m, a, y, b=branch: again(y, first(y) + b(first(y))))
    return run(model)


def gated_lora(kind):
    model, base = encoder(kind)
    for i, layer in enumerate(model.encoder.layer):
        for name in ("query", "value"):
            p = f"{base}.{i}.attention.self.{name}.adamix"
            a, b = values(f"{p}.down.0.weight", DOWN, WIDTH), values(f"{p}.up.0.weight", WIDTH, DOWN)
            getattr(layer.attention.self, name).register_forward_hook(
                lambda m, x, y, a=a, b=b, p=p: y + (x[0] @ a.T @ b.T) * gate(p, x[0], MASK))
    return run_encoder(model)


def ia3(model, targets, wide, names, run):
    peft = get_peft_model(model, IA3Config(target_modules=targets, feedforward_modules=wide)).eval()
    for name, parameter in peft.named_parameters():
        if "ia3_l" in name:
            site = name.removeprefix("base_model.model.").split(".ia3_l")[0]
            parameter.copy_(values(f"{names(site)}.adamix.scale.0.weight", parameter.numel(), 1).reshape(parameter.shape))
    return run(peft)


def prefix(model, place, run, task):
    config = PrefixTuningConfig(task_type=task, num_virtual_tokens=LENGTH, num_layers=LAYERS, token_dim=WIDTH,
                                num_attention_heads=HEADS, num_transformer_submodules=1)
    peft = get_peft_model(model, config).eval()
    rows = [t for i in range(LAYERS) for side in ("key", "value")
            for t in [table(place(i) + f".{side}", LENGTH, WIDTH)]]
    peft.prompt_encoder.default.embedding.weight.copy_(torch.cat(rows, 1))
    return run(peft)


def prompt(model, name, run, task):
    config = PromptTuningConfig(task_type=task, num_virtual_tokens=LENGTH, num_layers=LAYERS, token_dim=WIDTH,
                                num_attention_heads=HEADS, num_transformer_submodules=1)
    peft = get_peft_model(model, config).eval()
    peft.prompt_encoder.default.embedding.weight.copy_(table(name, LENGTH, WIDTH))
    return run(peft)


def gpt2():
    return GPT2LMHeadModel.from_pretrained(f"{folder}/gpt2-tiny").eval()


def prelayer():
    """Hidden states of the first positions are replaced before every layer."""
    model = gpt2()
    for i, block in enumerate(model.transformer.h):
        states = table(f"transformer.h.{i}.adamix.tokens", LENGTH, WIDTH)

        def hook(m, args, states=states):
            x = torch.cat([states.expand(args[0].shape[0], -1, -1), args[0][:, LENGTH:]], 1)
            return (x, *args[1:])

        block.register_forward_pre_hook(hook)
    ids = torch.tensor([[0] * LENGTH + GPT2_IDS[0]])
    return [round(float(v), 6) for v in model(input_ids=ids).logits[0, LENGTH:, ::400].flatten()]


def whole_lora():
    model = get_peft_model(gpt2(), LoraConfig(r=DOWN, lora_alpha=2 * DOWN, target_modules=["attn.c_attn"], fan_in_fan_out=True)).eval()
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            site = name.removeprefix("base_model.model.").split(".lora_")[0]
            side = "down" if "lora_A" in name else "up"
            parameter.copy_(values(f"{site}.adamix.{side}.0.weight", *parameter.shape))
    return run_gpt2(model)


cases = {}
for kind in ("roberta", "bert"):
    cases[f"{kind} houlsby"] = houlsby(kind)
    cases[f"{kind} list"] = houlsby(kind, linear, bias=False)
    cases[f"{kind} pfeiffer"] = pfeiffer(kind)
    cases[f"{kind} pfeiffer gated"] = pfeiffer(kind, gated=True)
    cases[f"{kind} parallel"] = parallel(kind)
    model, base = encoder(kind)
    cases[f"{kind} lin"] = lin(model, model.encoder.layer, base, run_encoder)
    cases[f"{kind} lora gated"] = gated_lora(kind)
    model, base = encoder(kind)
    wide = r".*layer\.\d+\.output\.dense"
    cases[f"{kind} ia3"] = ia3(model, rf".*(key|value)|{wide}", wide, lambda site, k=kind: f"{k}.{site}", run_encoder)
    model, base = encoder(kind)
    place = lambda i, base=base: f"{base}.{i}.attention.self.adamix"
    cases[f"{kind} prefix"] = prefix(model, place, run_encoder, "FEATURE_EXTRACTION")
    model, base = encoder(kind)
    cases[f"{kind} prompt"] = prompt(model, f"{kind}.embeddings.word_embeddings.adamix.tokens", run_encoder, "FEATURE_EXTRACTION")
cases["gpt2 ia3"] = ia3(gpt2(), ["c_attn", "mlp.c_proj"], ["mlp.c_proj"], lambda site: site, run_gpt2)
model = gpt2()
cases["gpt2 lin"] = lin(model, model.transformer.h, "transformer.h", run_gpt2)
cases["gpt2 prefix"] = prefix(gpt2(), lambda i: f"transformer.h.{i}.attn.adamix.prefix", run_gpt2, "CAUSAL_LM")
cases["gpt2 prompt"] = prompt(gpt2(), "transformer.wte.adamix.tokens", run_gpt2, "CAUSAL_LM")
cases["gpt2 prelayer"] = prelayer()
cases["gpt2 lora whole"] = whole_lora()
with open(out, "w") as file:
    json.dump(cases, file)
print(f"{len(cases)} cases")
