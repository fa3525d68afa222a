"""The definition of the weight-only products, in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from automl.kernels.epilogue.reference import finish
from automl.kernels.weight_only.formats_math import unpack_nibbles

if TYPE_CHECKING:
    from automl.kernels.weight_only.weight import Weight

__all__ = ["dequantize", "product"]


def _middle(weight: Weight) -> int:
    if weight.codes.dtype == torch.int8:
        return 0
    return 8 if weight.bits == 4 else 128


def dequantize(weight: Weight) -> torch.Tensor:
    """Return (n, k) float64: ``(code - zero) * scale`` or ``table[code] * scale``, by group."""
    codes = unpack_nibbles(weight.codes, weight.inner) if weight.bits == 4 else weight.codes
    of_group = torch.arange(weight.inner, device=codes.device) // weight.group
    if weight.table is not None:
        levels = weight.table.double()[codes.long()]
    elif weight.zero is not None:
        levels = codes.double() - weight.zero.double()[:, of_group]
    else:
        levels = codes.double() - _middle(weight)
    return levels * weight.scale.double()[:, of_group]


def product(
    x: torch.Tensor,
    weight: Weight,
    bias: torch.Tensor | None,
    residual: torch.Tensor | None,
    activation: str,
) -> torch.Tensor:
    """Return (m, n) float64, the exact number that the output type rounds."""
    return finish(x.double() @ dequantize(weight).t(), bias, residual, activation)
