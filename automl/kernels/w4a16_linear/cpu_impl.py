"""``w4a16_linear`` on the CPU: the packed product for a few rows, bfloat16 beyond."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automl.kernels.weight_only.cpu_impl import product
from automl.kernels.weight_only.weight import Weight

if TYPE_CHECKING:
    import torch

__all__ = ["run"]


def run(
    x: torch.Tensor,
    codes: torch.Tensor,
    scale: torch.Tensor,
    zero: torch.Tensor | None,
    table: torch.Tensor | None,
    group: int,
    bias: torch.Tensor | None,
    residual: torch.Tensor | None,
    activation: str,
) -> torch.Tensor:
    """Return (m, n) of the type of ``x``; packs on every call, so modules pack once instead."""
    return product(x, Weight(4, codes, scale, zero, table, group, x.shape[1]), bias, residual, activation)
