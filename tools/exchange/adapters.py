"""Random adapters of Python's `peft`, of every kind that the program reads."""

import torch
from peft import IA3Config, LoraConfig, PrefixTuningConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification


def lora(**fields):
    fields = {"r": 4, "lora_alpha": 24, "init_lora_weights": False} | fields
    return lambda task: LoraConfig(task_type=task, **fields)


ENCODER = {
    "lora": lora(target_modules=["query", "value"]),
    "lora rank and alpha patterns": lora(
        target_modules=["query", "key", "output.dense"],
        rank_pattern={r"layer\.1\..*query": 7, "attention.output.dense": 2},
        alpha_pattern={r"layer\.[02]\..*key": 5, "query": 9.5},
    ),
    "lora rsLoRA, a pattern of targets": lora(
        target_modules=r".*layer\.[12]\.(attention\.self\.value|intermediate\.dense|output\.dense)", use_rslora=True
    ),
    "lora some layers": lora(target_modules=["dense"], layers_to_transform=[1], layers_pattern="layer"),
    "lora all-linear": lora(target_modules="all-linear"),
    "lora with all biases": lora(target_modules=["query", "intermediate.dense"], bias="all"),
    "lora excluded modules": lora(target_modules=["value"], exclude_modules=["layer.0.attention.self.value"]),
    "ia3": lambda task: IA3Config(task_type=task, init_ia3_weights=False),
    "ia3 outputs only": lambda task: IA3Config(
        task_type=task, target_modules=["query", "value"], feedforward_modules=[], init_ia3_weights=False
    ),
    "prefix": lambda task: PrefixTuningConfig(task_type=task, num_virtual_tokens=5),
}
DECODER = {
    "lora c_attn": lora(target_modules=["c_attn"], fan_in_fan_out=True),
    "lora everywhere": lora(
        target_modules=["c_attn", "c_proj", "c_fc"], fan_in_fan_out=True, rank_pattern={"mlp.c_proj": 3}
    ),
    "ia3": lambda task: IA3Config(task_type=task, init_ia3_weights=False, fan_in_fan_out=True),
    "prefix": lambda task: PrefixTuningConfig(task_type=task, num_virtual_tokens=5),
}


def load_base(folder, family, **further):
    kind = AutoModelForCausalLM if family == "gpt2" else AutoModelForSequenceClassification
    return kind.from_pretrained(folder, **further).eval()


def save(folder, base, family, make, seed):
    """Writes a random adapter on a base into a folder and returns the model that has it."""
    torch.manual_seed(seed)
    task = "CAUSAL_LM" if family == "gpt2" else "SEQ_CLS"
    model = get_peft_model(load_base(base, family), make(task)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # Heads and biases are saved as trained: let them differ from the base's.
            if parameter.requires_grad and ("modules_to_save" in name or name.endswith("bias")):
                parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    return model
