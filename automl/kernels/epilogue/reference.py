"""The definition of the fused epilogue, in float64."""

from __future__ import annotations

import torch

__all__ = ["activate", "finish"]


def activate(value: torch.Tensor, activation: str) -> torch.Tensor:
    """Return ``none``, ``relu``, ``gelu`` (exact, by erf) or ``silu`` of the values."""
    if activation == "relu":
        return value.relu()
    if activation == "gelu":
        return torch.nn.functional.gelu(value)
    return torch.nn.functional.silu(value) if activation == "silu" else value


def finish(
    product: torch.Tensor, bias: torch.Tensor | None, residual: torch.Tensor | None, activation: str
) -> torch.Tensor:
    """Return ``activation(product + bias + residual)`` in float64.

    Args:
        product: (m, n) float64.
        bias: (n,).
        residual: (m, n).
        activation: one of ``automl.kernels.checks.ACTIVATIONS``.
    """
    if bias is not None:
        product = product + bias.double()
    if residual is not None:
        product = product + residual.double()
    return activate(product, activation)
