"""Modules that give transformers models plain tensor inputs and one tensor output.

Attention masks and rotary tables are handed to the models as finished float tensors. The functions are
unchanged, but the traced graphs lose the index arithmetic that transformers runs at every call to build
them.
"""

from __future__ import annotations

from typing import Any
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

__all__ = ["CausalLogits", "ImageLogits", "SentenceEncoder", "wrap_causal"]


class SentenceEncoder(nn.Module):
    """Text encoder with pooling: (input_ids, attention_mask), each (batch, tokens) int64 -> (batch, width).

    Rows have length 1. Reference: Reimers and Gurevych, "Sentence-BERT", arXiv 1908.10084; the mean divides
    by at least one token, so an empty mask gives a zero vector instead of NaN.

    Args:
        encoder: a transformers encoder with eager attention.
        pooling: ``mean`` over unmasked tokens, or the first token, ``cls``.
    """

    def __init__(self, encoder: nn.Module, pooling: Literal["mean", "cls"] = "mean") -> None:
        super().__init__()
        self.encoder = encoder
        self.pooling = pooling

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return unit-length sentence vectors, (batch, width)."""
        keep = attention_mask.to(torch.float32)
        added = (1.0 - keep[:, None, None, :]) * torch.finfo(torch.float32).min
        hidden = self.encoder(input_ids=input_ids, attention_mask=added).last_hidden_state
        if self.pooling == "cls":
            return functional.normalize(hidden[:, 0], dim=1)
        keep = keep.unsqueeze(-1)
        mean = (hidden * keep).sum(1) / keep.sum(1).clamp(min=1.0)
        return functional.normalize(mean, dim=1)


class _RotaryTable(nn.Module):
    """Cosines and sines of the first positions, computed once."""

    cos: torch.Tensor
    sin: torch.Tensor

    def __init__(self, rotary: nn.Module, tokens: int) -> None:
        super().__init__()
        positions = torch.arange(tokens)[None]
        cos, sin = rotary(torch.zeros(1, dtype=torch.float32), positions)
        self.register_buffer("cos", cos.detach().clone(), persistent=False)
        self.register_buffer("sin", sin.detach().clone(), persistent=False)

    def forward(self, hidden: torch.Tensor, position_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the two tables, each (1, tokens, head width); positions count from 0."""
        return self.cos, self.sin


class CausalLogits(nn.Module):
    """Causal language model without a cache: input_ids (batch, tokens) int64 -> (batch, tokens, vocabulary).

    Args:
        model: a transformers causal language model with eager attention.
        tokens: the one sequence length that will be used, which lets mask and rotary tables be constants;
            None leaves both to transformers.
    """

    mask: torch.Tensor

    def __init__(self, model: nn.Module, tokens: int | None = None) -> None:
        super().__init__()
        self.model = model
        self.tokens = tokens
        if tokens is not None:
            lowest = torch.finfo(torch.float32).min
            mask = torch.full((tokens, tokens), lowest).triu(1)[None, None]
            self.register_buffer("mask", mask, persistent=False)
            decoder: Any = getattr(model, "model", None)
            if isinstance(getattr(decoder, "rotary_emb", None), nn.Module):
                decoder.rotary_emb = _RotaryTable(decoder.rotary_emb, tokens)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Return next-token logits at every position."""
        if self.tokens is None:
            result: Any = self.model(input_ids=input_ids, use_cache=False)
        else:
            positions = torch.arange(self.tokens, device=input_ids.device)[None]
            result = self.model(
                input_ids=input_ids, attention_mask=self.mask, position_ids=positions, use_cache=False
            )
        logits: torch.Tensor = result.logits
        return logits


def wrap_causal(model: nn.Module, example_ids: torch.Tensor) -> CausalLogits:
    """Return ``model`` as plain logits, with constant mask and tables where that gives the same logits.

    Args:
        model: a transformers causal language model in evaluation mode; may be changed in place.
        example_ids: (1, tokens) int64, of the length that will be used.
    """
    plain = CausalLogits(model)
    decoder: Any = getattr(model, "model", None)
    rotary = getattr(decoder, "rotary_emb", None)
    with torch.inference_mode():
        expected = plain(example_ids)
    with torch.no_grad():
        fixed = CausalLogits(model, example_ids.shape[1]).eval()
        try:
            actual = fixed(example_ids)
        except (RuntimeError, TypeError, ValueError):
            actual = None
    if actual is not None and torch.allclose(actual, expected, rtol=1e-4, atol=1e-4):
        return fixed
    if rotary is not None:
        decoder.rotary_emb = rotary
    return plain.eval()


class ImageLogits(nn.Module):
    """Image classifier of transformers: pixel_values (batch, 3, height, width) -> (batch, classes)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Return class logits."""
        result: Any = self.model(pixel_values=pixel_values)
        logits: torch.Tensor = result.logits
        return logits
