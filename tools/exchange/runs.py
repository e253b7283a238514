"""Short runs of `adamix train` on a small task that is written here."""

import random

from .bases import sentences

ENCODER = {
    "lora mixture": {"adaptation.method": "adamix-lora", "adaptation.experts": 4},
    "lora mixture, nothing shared, every map": {
        "adaptation.method": "adamix-lora",
        "adaptation.experts": 3,
        "adaptation.share": "none",
        "adaptation.rank": 3,
        "adaptation.alpha": 7.0,
        "adaptation.sites": ["query", "key", "value", "attention-projection", "ffn-1", "ffn-2"],
    },
    "lora mixture, some layers": {
        "adaptation.method": "adamix-lora",
        "adaptation.experts": 2,
        "adaptation.layers": 2,
    },
    "ia3 mixture": {"adaptation.method": "adamix-ia3", "adaptation.experts": 3},
}

DECODER = {
    "lora mixture on queries and values": {
        "adaptation.method": "adamix-lora",
        "adaptation.experts": 4,
        "adaptation.rank": 3,
    },
    "lora mixture, every map": {
        "adaptation.method": "adamix-lora",
        "adaptation.experts": 2,
        "adaptation.share": "none",
        "adaptation.sites": ["query-key-value", "attention-projection", "ffn-1", "ffn-2"],
    },
    "ia3 mixture": {"adaptation.method": "adamix-ia3", "adaptation.experts": 3},
    "prefix": {"adaptation.method": "prefix", "adaptation.length": 4},
}


def corpus(folder, seed):
    """E2E's official layout."""
    if (folder / "trainset.csv").exists():
        return folder
    folder.mkdir(parents=True)
    for file, rows in (("trainset.csv", 48), ("devset.csv", 8), ("testset_w_refs.csv", 8)):
        lines = ["mr,ref"]
        for row, text in enumerate(sentences(rows, seed + rows)):
            first, *rest = text.split(" ")
            lines.append(f'"name[{first} {row % 7}], food[{len(rest)}]","{text}"')
        (folder / file).write_text("\n".join(lines) + "\n")
    return folder


def task(folder, seed):
    """RTE's layout: whether a word of the first sentence is in the second."""
    if (folder / "train.tsv").exists():
        return folder
    folder.mkdir(parents=True)
    draw = random.Random(seed)
    for name, rows in (("train", 64), ("dev", 32)):
        lines = ["index\tsentence1\tsentence2\tlabel"]
        for row, text in enumerate(sentences(rows, seed + rows)):
            other = draw.choice([text, next(sentences(1, seed + 1000 + row))])
            label = "entailment" if other == text else "not_entailment"
            lines.append(f"{row}\t{text}\t{other}\t{label}")
        (folder / f"{name}.tsv").write_text("\n".join(lines) + "\n")
    return folder


def value(setting):
    if isinstance(setting, list):
        return "[" + ", ".join(map(value, setting)) + "]"
    return f'"{setting}"' if isinstance(setting, str) else str(setting)


def write(path, base, data, settings, seed):
    """A config with large steps, so that every trained tensor moves."""
    tables = {
        "optimizer": {"learning_rate": 0.01},
        "schedule": {"epochs": 1, "batch_size": 8},
        "input": {"max_length": 64},
    }
    for key, setting in settings.items():
        table, name = key.split(".")
        tables.setdefault(table, {})[name] = setting
    decodes = "gpt2" in base.name
    name, data = ("e2e", corpus(data, seed)) if decodes else ("rte", task(data, seed))
    lines = [f"seed = {seed}", f'task = "{name}"', f'data = "{data}"', f'model = "{base}"']
    if decodes:
        tables["generation"] = {"beams": 1, "new_tokens": 4}
    for table, entries in tables.items():
        lines.append(f"[{table}]")
        lines += [f"{name} = {value(setting)}" for name, setting in entries.items()]
    path.write_text("\n".join(lines) + "\n")
    return path
