"""``w8a16_linear`` in Triton: the shared weight-only kernel at 8 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automl.kernels.weight_only import triton_impl as weight_only
from automl.kernels.weight_only.weight import Weight

if TYPE_CHECKING:
    import torch

    from automl.kernels.builds import Build

__all__ = ["builds", "run"]


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
    """Return (m, n) of the type of ``x``, accumulated in float32."""
    return weight_only.product(
        x, Weight(8, codes, scale, zero, table, group, x.shape[1]), bias, residual, activation
    )


def builds() -> tuple[Build, ...]:
    """Return the shipped configurations."""
    return weight_only.builds(8)
