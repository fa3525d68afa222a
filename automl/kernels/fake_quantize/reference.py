"""The definition of ``fake_quantize``.

``y = s (clip(round(x / s) + z, low, high) - z)``: the quotient is IEEE single precision (a float64 quotient
of two float32 numbers rounds to it), the product is exact in float64, rounded to float32, then to x's type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from automl.kernels.fake_quantize.layout_math import spread

if TYPE_CHECKING:
    import torch

__all__ = ["run", "run_backward"]


def _steps(
    x: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor | None, granularity: str, axis: int, group: int
) -> tuple[torch.Tensor, torch.Tensor | float, torch.Tensor]:
    step = spread(scale.double(), x.shape, granularity, axis, group)
    shift = 0.0 if zero is None else spread(zero.double(), x.shape, granularity, axis, group)
    return step, shift, (x.double() / step).float().double().round()


def run(
    x: torch.Tensor,
    scale: torch.Tensor,
    zero: torch.Tensor | None,
    granularity: str,
    axis: int,
    group: int,
    low: int,
    high: int,
) -> torch.Tensor:
    """Return the quantized values (x.shape, x.dtype); NaN stays NaN."""
    step, shift, code = _steps(x, scale, zero, granularity, axis, group)
    return (((code + shift).clamp(low, high) - shift) * step).float().to(x.dtype)


def run_backward(
    grad: torch.Tensor,
    x: torch.Tensor,
    scale: torch.Tensor,
    zero: torch.Tensor | None,
    granularity: str,
    axis: int,
    group: int,
    low: int,
    high: int,
) -> torch.Tensor:
    """Return the gradient of x: that of y where x was not clipped, 0 elsewhere and where x is NaN."""
    _, shift, code = _steps(x, scale, zero, granularity, axis, group)
    inside = (code + shift >= low) & (code + shift <= high)
    return grad.where(inside, 0.0)
