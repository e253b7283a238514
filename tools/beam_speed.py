#!/usr/bin/env python3
"""Beam search of `transformers` beside this project's: same model, prompts, settings and threads.

  tools/beam_speed.py make DIR --size gpt2        a folder with random weights of a published size, or of the mini model
  tools/beam_speed.py time DIR --prompts 8        times both, one after the other, `--rounds` times, and compares tokens

`time` runs `target/release/examples/beam_speed` (build it with `cargo build --release --workspace --examples`) in a
process of its own and `transformers` in this one. Nothing ends a text early, so that both take every step.
"""

import argparse
import json
import statistics
import subprocess
import time
from pathlib import Path

SIZES = {
    "mini": dict(n_embd=256, n_layer=4, n_head=4, n_positions=512, vocab_size=8192),
    "gpt2": dict(n_embd=768, n_layer=12, n_head=12, n_positions=1024, vocab_size=50257),
    "gpt2-medium": dict(n_embd=1024, n_layer=24, n_head=16, n_positions=1024, vocab_size=50257),
}


def make(arguments):
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(arguments.seed)
    # Wider than GPT-2's own start, so that the distributions have peaks and no two hypotheses are nearly equal.
    config = GPT2Config(**SIZES[arguments.size], initializer_range=0.08, bos_token_id=0, eos_token_id=0)
    GPT2LMHeadModel(config).save_pretrained(arguments.folder)


def prompts(arguments, vocabulary):
    """Token ids from a fixed linear congruence, so that no library is needed to repeat them; lengths differ."""
    state, rows = arguments.seed, []
    for row in range(arguments.prompts):
        length = arguments.prompt_tokens - (row * 7) % max(1, arguments.prompt_tokens // 3)
        ids = []
        for _ in range(length):
            state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
            ids.append(1 + (state >> 33) % (vocabulary - 1))
        rows.append(ids)
    return rows


def ours(arguments, rows):
    file = Path(arguments.folder) / "beam_speed_prompts.json"
    file.write_text(json.dumps(rows))
    command = [arguments.program, arguments.folder, file, arguments.beams, arguments.new_tokens]
    output = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True)
    file.unlink()
    return json.loads(output.stdout)


def theirs(arguments, model, rows):
    import torch

    longest = max(map(len, rows))
    ids = torch.tensor([[0] * (longest - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    start = time.perf_counter()
    with torch.inference_mode():
        found = model.generate(
            ids,
            attention_mask=mask,
            num_beams=arguments.beams,
            length_penalty=0.8,
            no_repeat_ngram_size=4,
            max_new_tokens=arguments.new_tokens,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
        )
    seconds = time.perf_counter() - start
    return seconds, found[:, longest:].tolist()


def compare(arguments):
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    torch.set_num_threads(arguments.threads)
    model = transformers.AutoModelForCausalLM.from_pretrained(arguments.folder, dtype=torch.float32).eval()
    model.generation_config.eos_token_id = None
    rows = prompts(arguments, model.config.vocab_size)
    theirs(arguments, model, [row[:4] for row in rows[:1]])  # once unmeasured
    times = {"huggingface": [], "released": [], "transformers": []}
    for _ in range(arguments.rounds):
        report = ours(arguments, rows)
        for form in ("huggingface", "released"):
            times[form].append(report[form]["seconds"])
        seconds, tokens = theirs(arguments, model, rows)
        times["transformers"].append(seconds)
    equal = sum(a == b for a, b in zip(report["huggingface"]["tokens"], tokens))
    count = len(rows) * arguments.new_tokens
    reference = statistics.median(times["transformers"])
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, {arguments.threads} threads")
    print(f"{len(rows)} prompts of at most {arguments.prompt_tokens}, {arguments.beams} beams, {arguments.new_tokens} new")
    for form, seconds in times.items():
        middle = statistics.median(seconds)
        print(f"{form:<13} {middle:7.2f} s  {count / middle:8.1f} tokens/s  {middle / reference:5.2f} of transformers")
    print(f"same tokens for {equal} of {len(rows)} prompts")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["make", "time"])
    parser.add_argument("folder")
    parser.add_argument("--size", choices=SIZES, default="gpt2")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--prompts", type=int, default=1)
    parser.add_argument("--prompt-tokens", type=int, default=40)
    parser.add_argument("--beams", type=int, default=10)
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--program", default="target/release/examples/beam_speed")
    arguments = parser.parse_args()
    {"make": make, "time": compare}[arguments.what](arguments)


if __name__ == "__main__":
    main()
