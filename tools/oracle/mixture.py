"""A frozen BERT or RoBERTa with a mixture of bottleneck adapters in every layer's FFN output."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from transformers import AutoConfig, BertModel, RobertaModel
from transformers.utils import logging

from .encoding import Batch

Choice = int | list[int]  # an expert for the batch, or one for each row
Routes = dict[str, dict[str, Choice]]  # site -> side -> choice; see DESIGN.md, trace.jsonl

logging.set_verbosity_error()  # missing tensors are checked here; surplus ones (another head) are harmless
logging.disable_progress_bar()


class Bank(nn.ModuleList):
    """The experts of one projection, `in -> out`."""

    def __init__(self, experts: int, width_in: int, width_out: int, deviation: float = 0.02) -> None:
        super().__init__(nn.Linear(width_in, width_out) for _ in range(experts))
        for expert in self:
            draw(expert, deviation)

    def forward(self, x: torch.Tensor, choice: Choice | None) -> torch.Tensor:
        """`x` is `[rows, tokens, in]`; without a choice the mean of the experts is applied."""
        if isinstance(choice, int):
            return self[choice](x)
        experts = list(self) if choice is None else [self[c] for c in choice]
        weight = torch.stack([e.weight for e in experts])
        bias = torch.stack([e.bias for e in experts])
        if choice is None:
            return F.linear(x, weight.mean(0), bias.mean(0))
        return torch.einsum("rti,roi->rto", x, weight) + bias[:, None, :]


class AdaptedOutput(nn.Module):
    """The FFN output block with the mixture before dropout, outer residual and LayerNorm."""

    def __init__(self, block: nn.Module, bottleneck: int, down: int, up: int, deviation: float) -> None:
        super().__init__()
        self.dense, self.LayerNorm, self.dropout = block.dense, block.LayerNorm, block.dropout
        hidden = self.dense.out_features
        self.adamix = nn.ModuleDict({
            "down": Bank(down, hidden, bottleneck, deviation),
            "up": Bank(up, bottleneck, hidden, deviation),
        })
        self.route: dict[str, Choice] | None = None

    def forward(self, hidden_states: torch.Tensor, input_tensor: torch.Tensor) -> torch.Tensor:
        """Both arguments as in the block that is replaced."""
        route = self.route or {}
        h = self.dense(hidden_states)
        narrow = F.gelu(self.adamix["down"](h, route.get("down")))
        h = h + self.adamix["up"](narrow, route.get("up"))
        return self.LayerNorm(self.dropout(h) + input_tensor)


class RobertaHead(nn.Module):
    """dropout, dense, tanh, dropout, projection."""

    def __init__(self, hidden: int, outputs: int, dropout: float, deviation: float) -> None:
        super().__init__()
        self.dense = draw(nn.Linear(hidden, hidden), deviation)
        self.out_proj = draw(nn.Linear(hidden, outputs), deviation)
        self.dropout = nn.Dropout(dropout)

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        """`[rows, hidden]` to `[rows, outputs]`."""
        return self.out_proj(self.dropout(torch.tanh(self.dense(self.dropout(pooled)))))


class Classifier(nn.Module):
    """Encoder, adapted sites and head; its parameter names are those of DESIGN.md's adapter folder."""

    def __init__(self, folder: Path, *, outputs: int, pooling: str, dropout: float,
                 bottleneck: int = 0, down: int = 0, up: int = 0, deviation: float = 0.02) -> None:
        super().__init__()
        config = AutoConfig.from_pretrained(folder)
        config.hidden_dropout_prob = config.attention_probs_dropout_prob = dropout
        self.kind: str = config.model_type
        if self.kind not in ("bert", "roberta"):
            raise ValueError(f"{folder}: model type `{self.kind}` is neither bert nor roberta")
        self.pooling = pooling
        with_pooler = self.kind == "bert" and pooling == "pooler"
        base, info = {"bert": BertModel, "roberta": RobertaModel}[self.kind].from_pretrained(
            folder, config=config, add_pooling_layer=with_pooler, dtype=torch.float32,
            attn_implementation="eager", output_loading_info=True)
        if info["missing_keys"]:
            raise ValueError(f"{folder}: missing tensors {sorted(info['missing_keys'])}")
        self.add_module(self.kind, base)
        self.sites: dict[str, AdaptedOutput] = {}
        if down:
            for i, layer in enumerate(base.encoder.layer):
                layer.output = AdaptedOutput(layer.output, bottleneck, down, up, deviation)
                self.sites[f"{self.kind}.encoder.layer.{i}.output"] = layer.output
        self.dropout = nn.Dropout(dropout)
        if self.kind == "bert":
            self.classifier = draw(nn.Linear(config.hidden_size, outputs), deviation)
        else:
            self.classifier = RobertaHead(config.hidden_size, outputs, dropout, deviation)

    def forward(self, batch: Batch, routes: Routes | None) -> torch.Tensor:
        """Logits `[rows, outputs]`; without routes the merged modules are used."""
        unknown = set(routes or {}) - set(self.sites)
        if unknown:
            raise ValueError(f"routes for sites that are not adapted: {sorted(unknown)}")
        for name, site in self.sites.items():
            site.route = None if routes is None else routes.get(name, {})
            for side, bank in site.adamix.items():
                if routes is not None and len(bank) > 1 and side not in site.route:
                    raise ValueError(f"no route for {name}, side {side}")
        inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        if batch.token_type_ids is not None:
            inputs["token_type_ids"] = batch.token_type_ids
        out = self.get_submodule(self.kind)(**inputs)
        pooled = self._pool(out, batch.attention_mask)
        return self.classifier(self.dropout(pooled) if self.kind == "bert" else pooled)

    def _pool(self, out: object, mask: torch.Tensor) -> torch.Tensor:
        hidden = out.last_hidden_state
        if self.pooling == "mean":
            weights = mask.to(hidden.dtype)[:, :, None]
            return (hidden * weights).sum(1) / weights.sum(1)
        if self.kind == "bert" and self.pooling == "pooler":
            return out.pooler_output
        return hidden[:, 0]

    def choose_trained(self, method: str, train_pooler: bool) -> dict[str, nn.Parameter]:
        """Freezes all but what `method` trains, and returns that by name."""
        pooler = f"{self.kind}.pooler."
        for name, parameter in self.named_parameters():
            if name.startswith(pooler):
                parameter.requires_grad_(method == "full" or train_pooler)
            else:
                parameter.requires_grad_(
                    method == "full" or ".adamix." in name or name.startswith("classifier."))
        return {n: p for n, p in self.named_parameters() if p.requires_grad}


def draw(linear: nn.Linear, deviation: float = 0.02) -> nn.Linear:
    """Weights N(0, deviation), bias 0, from torch's global generator."""
    nn.init.normal_(linear.weight, std=deviation)
    nn.init.zeros_(linear.bias)
    return linear
