"""GPT-2 with a mixture of bottleneck adapters after every MLP, or of low-rank updates of queries and values."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from transformers import AutoConfig, GPT2LMHeadModel

from .mixture import Bank, Choice, Routes


class LowRankBank(nn.ModuleList):
    """The experts of one factor of a low-rank update."""

    def __init__(self, experts: int, width_in: int, width_out: int) -> None:
        super().__init__(nn.Linear(width_in, width_out, bias=False) for _ in range(experts))

    def forward(self, x: torch.Tensor, choice: Choice | None) -> torch.Tensor:
        """`x` is `[rows, tokens, in]`; without a choice the mean of the experts is applied."""
        if isinstance(choice, int):
            return self[choice](x)
        if choice is None:
            return F.linear(x, torch.stack([e.weight for e in self]).mean(0))
        return torch.einsum("rti,roi->rto", x, torch.stack([self[c].weight for c in choice]))


class AdaptedMap(nn.Module):
    """`c_attn` with updates of its query and value thirds; both follow one route."""

    def __init__(self, conv: nn.Module, rank: int, scale: float, down: int, up: int) -> None:
        super().__init__()
        self.weight, self.bias, self.scale = conv.weight, conv.bias, scale
        width = conv.weight.shape[0]

        def part() -> nn.ModuleDict:
            return nn.ModuleDict({"down": LowRankBank(down, width, rank), "up": LowRankBank(up, rank, width)})

        self.adamix = nn.ModuleDict({"q": part(), "v": part()})
        self.route: dict[str, Choice] | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`[rows, tokens, width]` to three times the width."""
        route = self.route or {}
        y = x @ self.weight + self.bias
        update = {}
        for name, part in self.adamix.items():
            inner = part["down"](x, route.get("down"))
            update[name] = self.scale * part["up"](inner, route.get("up"))
        return y + torch.cat([update["q"], torch.zeros_like(update["q"]), update["v"]], -1)


class AdaptedMlp(nn.Module):
    """The MLP with the mixture on its output, its own residual inside."""

    def __init__(self, mlp: nn.Module, bottleneck: int, down: int, up: int) -> None:
        super().__init__()
        self.c_fc, self.c_proj, self.act = mlp.c_fc, mlp.c_proj, mlp.act
        hidden = self.c_proj.nf
        self.adamix = nn.ModuleDict({"down": Bank(down, hidden, bottleneck), "up": Bank(up, bottleneck, hidden)})
        self.route: dict[str, Choice] | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`[rows, tokens, width]`."""
        route = self.route or {}
        h = self.c_proj(self.act(self.c_fc(x)))
        narrow = F.gelu(self.adamix["down"](h, route.get("down")), approximate="tanh")
        return h + self.adamix["up"](narrow, route.get("up"))


class Decoder(nn.Module):
    """GPT-2 without dropout; its parameter names are those of DESIGN.md's adapter folder."""

    def __init__(self, folder: Path, *, method: str, bottleneck: int, rank: int, alpha: float,
                 down: int, up: int) -> None:
        super().__init__()
        config = AutoConfig.from_pretrained(folder)
        config.attn_pdrop = config.embd_pdrop = config.resid_pdrop = 0.0
        model = GPT2LMHeadModel.from_pretrained(
            folder, config=config, dtype=torch.float32, attn_implementation="eager")
        self.transformer = model.transformer
        self.positions: int = config.n_positions
        self.untied = None if config.tie_word_embeddings else model.lm_head
        self.sites: dict[str, AdaptedMap | AdaptedMlp] = {}
        for i, block in enumerate(self.transformer.h):
            if method in ("adamix-lora", "lora"):
                block.attn.c_attn = AdaptedMap(block.attn.c_attn, rank, alpha / rank, down, up)
                self.sites[f"transformer.h.{i}.attn.c_attn"] = block.attn.c_attn
            elif method in ("adamix", "adapter"):
                block.mlp = AdaptedMlp(block.mlp, bottleneck, down, up)
                self.sites[f"transformer.h.{i}.mlp"] = block.mlp

    def forward(self, ids: torch.Tensor, routes: Routes | None) -> torch.Tensor:
        """Logits `[rows, tokens, vocabulary]`; without routes the merged modules are used."""
        unknown = set(routes or {}) - set(self.sites)
        if unknown:
            raise ValueError(f"routes for sites that are not adapted: {sorted(unknown)}")
        for name, site in self.sites.items():
            site.route = None if routes is None else routes.get(name, {})
        hidden = self.transformer(input_ids=ids, use_cache=False).last_hidden_state
        table = self.transformer.wte.weight if self.untied is None else self.untied.weight
        return hidden @ table.T

    def choose_trained(self, method: str) -> dict[str, nn.Parameter]:
        """Freezes all but what `method` trains, and returns that by name."""
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(method == "full" or ".adamix." in name)
        return {n: p for n, p in self.named_parameters() if p.requires_grad}


def completion_loss(logits: torch.Tensor, labels: torch.Tensor, smoothing: float) -> torch.Tensor:
    """Smoothed cross-entropy of `[positions, vocabulary]`, divided by the positions and 1e-4 more."""
    log_p = F.log_softmax(logits, dim=1)
    likely = -log_p.gather(1, labels[:, None])[:, 0]
    each = (1 - smoothing) * likely + smoothing * -log_p.mean(1)
    return each.sum() / (len(labels) + 1e-4)
