"""The definition of ``nm_linear``: the product with the dense weight, in float64."""

from __future__ import annotations

import torch

from automl.kernels.nm_linear.nm_math import unpack_nm

__all__ = ["LONGEST", "run"]

#: Longest inner length of int8 codes: it stores 131,071 at most, and 131,071 * 128 * 128 < 2^31.
LONGEST = 262_139


def run(
    x: torch.Tensor,
    values: torch.Tensor,
    mask: torch.Tensor,
    x_scale: torch.Tensor | None,
    w_scale: torch.Tensor | None,
    bias: torch.Tensor | None,
    out_dtype: torch.dtype,
) -> torch.Tensor:
    """Return (m, n): int32 sums when that is the output type, else float64, the number that it rounds."""
    total = x.double() @ unpack_nm(values, mask, x.shape[1]).double().t()
    if out_dtype == torch.int32:
        return total.to(torch.int32)
    if x_scale is not None:
        total = total * (x_scale.double().unsqueeze(-1) if x_scale.dim() else x_scale.double())
    if w_scale is not None:
        total = total * w_scale.double()
    return total if bias is None else total + bias.double()
