"""The definition of ``w4a16_linear``, in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automl.kernels.weight_only.reference import product
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
    """Return (m, n) float64, the exact number that the output type rounds."""
    return product(x, Weight(4, codes, scale, zero, table, group, x.shape[1]), bias, residual, activation)
