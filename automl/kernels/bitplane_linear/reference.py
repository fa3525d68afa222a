"""The definition of ``bitplane_linear``: codes less zero points, multiplied in float64, which is exact."""

from __future__ import annotations

import torch

from automl.kernels.bitplane_linear.planes_math import unpack_planes

__all__ = ["run"]


def run(
    x: torch.Tensor,
    planes: torch.Tensor,
    x_scale: torch.Tensor | None,
    w_scale: torch.Tensor | None,
    x_zero: torch.Tensor | None,
    w_zero: torch.Tensor | None,
    bias: torch.Tensor | None,
    x_bits: int,
    x_kind: str,
    w_kind: str,
    out_dtype: torch.dtype,
) -> torch.Tensor:
    """Return (m, n): int32 sums when that is the output type, else float64, the number that it rounds."""
    codes = x.double()
    weights = unpack_planes(planes, x.shape[1], w_kind).double()
    if x_zero is not None:
        codes = codes - (x_zero.double().unsqueeze(-1) if x_zero.dim() else x_zero.double())
    if w_zero is not None:
        weights = weights - w_zero.double().unsqueeze(-1)
    total = codes @ weights.t()
    if out_dtype == torch.int32:
        return total.to(torch.int32)
    if x_scale is not None:
        total = total * (x_scale.double().unsqueeze(-1) if x_scale.dim() else x_scale.double())
    if w_scale is not None:
        total = total * w_scale.double()
    return total if bias is None else total + bias.double()
