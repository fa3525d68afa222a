"""The definition of ``w8a8_linear``: a float64 product of codes is exact below 2^53, far beyond int32."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automl.kernels.epilogue.reference import finish

if TYPE_CHECKING:
    import torch

__all__ = ["LONGEST", "run"]

#: Longest inner length whose worst sum, all codes -128, fits int32: 131,071 * 128 * 128 < 2^31.
LONGEST = 131_071


def run(
    x: torch.Tensor,
    x_scale: torch.Tensor,
    w: torch.Tensor,
    w_scale: torch.Tensor,
    bias: torch.Tensor | None,
    residual: torch.Tensor | None,
    activation: str,
    out_dtype: torch.dtype,
) -> torch.Tensor:
    """Return (m, n) float64, the exact number that the output type rounds."""
    total = x.double() @ w.double().t()
    rows = x_scale.double().unsqueeze(-1) if x_scale.dim() else x_scale.double()
    return finish(total * rows * w_scale.double(), bias, residual, activation)
