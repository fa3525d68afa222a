"""The definition of ``w4a8_linear``: float64 holds every sum of codes exactly, integer scales included."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from automl.kernels.epilogue.reference import finish
from automl.kernels.w4a8_linear.scales_math import unpack_signed

__all__ = ["LONGEST", "run"]

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Longest inner length of the per-channel form: codes are multiplied as 16 w, so 131,071 * 128 * 128 < 2^31.
LONGEST = 131_071


def _groups(inner: int, group: int) -> Iterator[tuple[int, slice]]:
    for index, start in enumerate(range(0, inner, group)):
        yield index, slice(start, start + group)


def run(
    x: torch.Tensor,
    x_scale: torch.Tensor,
    codes: torch.Tensor,
    scale: torch.Tensor,
    group: int,
    alpha: int,
    bias: torch.Tensor | None,
    residual: torch.Tensor | None,
    activation: str,
    out_dtype: torch.dtype,
) -> torch.Tensor:
    """Return (m, n) float64, the exact number that the output type rounds."""
    inner = x.shape[1]
    w = unpack_signed(codes, inner).double()
    total = torch.zeros((x.shape[0], w.shape[0]), dtype=torch.float64, device=x.device)
    for index, part in _groups(inner, group):
        total += (x[:, part].double() @ w[:, part].t()) * scale[:, index].double()
    rows = x_scale.double().unsqueeze(-1) if x_scale.dim() else x_scale.double()
    return finish(total * rows / (alpha or 1), bias, residual, activation)
