"""Texts to padded tensors, with the tokenizer of a Hugging Face folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Encoding, Tokenizer
from transformers import AutoConfig, AutoTokenizer

from .glue import Row


@dataclass(frozen=True)
class Batch:
    """Encoder inputs `[rows, tokens]` and labels `[rows]` (int64 classes or float32 scores)."""

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    token_type_ids: torch.Tensor | None
    labels: torch.Tensor


class Encoder:
    """Tokenises rows to at most `max_length` tokens (longest text cut first) and pads them."""

    def __init__(self, model: Path, max_length: int, pad: str) -> None:
        config = AutoConfig.from_pretrained(model)
        self.pad_id: int = config.pad_token_id
        self.typed: bool = config.type_vocab_size > 1
        self.fixed_length = max_length if pad == "max" else 0
        file = model / "tokenizer.json"
        if file.is_file():
            self.tokenizer = Tokenizer.from_file(str(file))
        else:
            self.tokenizer = AutoTokenizer.from_pretrained(model, use_fast=True).backend_tokenizer
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(max_length, strategy="longest_first")

    def encode(self, rows: list[Row]) -> list[Encoding]:
        """One unpadded encoding a row."""
        return self.tokenizer.encode_batch([r.texts if len(r.texts) > 1 else r.texts[0] for r in rows])

    def batch(self, rows: list[Row], encodings: list[Encoding]) -> Batch:
        """Pads to the longest row of the batch, or to `max_length`."""
        width = self.fixed_length or max(len(e.ids) for e in encodings)

        def padded(values: list[list[int]], fill: int) -> torch.Tensor:
            return torch.tensor([v + [fill] * (width - len(v)) for v in values])

        return Batch(
            input_ids=padded([e.ids for e in encodings], self.pad_id),
            attention_mask=padded([[1] * len(e.ids) for e in encodings], 0),
            token_type_ids=padded([e.type_ids for e in encodings], 0) if self.typed else None,
            labels=torch.tensor([r.label for r in rows]),
        )
