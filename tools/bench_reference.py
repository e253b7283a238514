"""Times in PyTorch what `adamix bench` times: a step or forward pass of an encoder with adapter mixtures.

    bench_reference.py [--forward] [--precision bf16] --architecture roberta-base --batch 16 --tokens 128

`transformers`' own BertModel or RobertaModel with scaled-dot-product attention, random weights and tokens; M down
projections and one shared up projection in every layer's FFN output, one drawn a pass; AdamW on the adapters and head.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn
from transformers import BertConfig, BertModel, RobertaConfig, RobertaModel

SHAPES = {  # layers, hidden, heads, vocabulary
    "bert-base-uncased": (12, 768, 12, 30522),
    "roberta-base": (12, 768, 12, 50265),
    "roberta-large": (24, 1024, 16, 50265),
    "minilm-l6": (6, 384, 12, 30522),
}


class AdaptedOutput(nn.Module):
    """The FFN output block with a mixture before dropout, outer residual and LayerNorm."""

    def __init__(self, block: nn.Module, bottleneck: int, experts: int) -> None:
        super().__init__()
        self.dense, self.LayerNorm, self.dropout = block.dense, block.LayerNorm, block.dropout
        hidden = self.dense.out_features
        self.down = nn.ModuleList(nn.Linear(hidden, bottleneck) for _ in range(experts))
        self.up = nn.Linear(bottleneck, hidden)

    def forward(self, hidden_states: torch.Tensor, input_tensor: torch.Tensor) -> torch.Tensor:
        h = self.dense(hidden_states)
        down = self.down[random.randrange(len(self.down)) if self.training else 0]
        h = h + self.up(F.gelu(down(h)))
        return self.LayerNorm(self.dropout(h) + input_tensor)


class Classifier(nn.Module):
    """The first token's state through one linear head."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        layers, hidden, heads, vocabulary = SHAPES[args.architecture]
        roberta = args.architecture.startswith("roberta")
        config = (RobertaConfig if roberta else BertConfig)(
            vocab_size=vocabulary, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
            intermediate_size=4 * hidden, max_position_embeddings=514, hidden_dropout_prob=args.dropout,
            attention_probs_dropout_prob=args.dropout, attn_implementation="sdpa")
        self.base = (RobertaModel if roberta else BertModel)(config, add_pooling_layer=False)
        self.base.requires_grad_(False)
        for layer in self.base.encoder.layer:
            layer.output = AdaptedOutput(layer.output, args.bottleneck, args.experts)
            layer.output.down.requires_grad_(True)
            layer.output.up.requires_grad_(True)
        self.head = nn.Linear(hidden, 2)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.head(self.base(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0])


def divergence(target: torch.Tensor, pulled: torch.Tensor) -> torch.Tensor:
    return F.kl_div(F.log_softmax(pulled, 1), F.softmax(target.detach(), 1), reduction="batchmean")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--architecture", choices=SHAPES, default="roberta-base")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--bottleneck", type=int, default=16)
    parser.add_argument("--experts", type=int, default=4)
    parser.add_argument("--passes", type=int, default=1)
    parser.add_argument("--forward", action="store_true")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    model = Classifier(args)
    ids = torch.randint(5, SHAPES[args.architecture][3], (args.batch, args.tokens))
    mask = torch.ones_like(ids)
    labels = torch.arange(args.batch) % 2
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4)

    def logits() -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=args.precision == "bf16"):
            return model(ids, mask).float()

    def step() -> None:
        first = logits()
        loss = F.cross_entropy(first, labels)
        if args.passes == 2:
            second = logits()
            loss = loss + 0.5 * (divergence(second, first) + divergence(first, second))
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()

    def forward() -> None:
        with torch.inference_mode():
            logits()

    model.train(not args.forward)
    once = forward if args.forward else step
    once()
    seconds = []
    for _ in range(args.repeats):
        clock = time.perf_counter()
        once()
        seconds.append(time.perf_counter() - clock)
    median = statistics.median(seconds)
    print(json.dumps({
        "median_seconds": median, "shortest_seconds": min(seconds), "seconds": seconds,
        "tokens_per_second": args.batch * args.tokens / median,
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "torch": torch.__version__,
    }, indent=2))


if __name__ == "__main__":
    main()
