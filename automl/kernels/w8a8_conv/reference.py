"""The definition of ``w8a8_conv``: a float64 convolution of codes is exact below 2^53, far beyond int32."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ACTIVATIONS", "LONGEST", "activate", "four_sides", "output_shape", "run"]

#: What the convolution's epilogue may apply; ``relu6`` and ``hardswish`` are those of mobile networks.
ACTIVATIONS = ("none", "relu", "relu6", "silu", "hardswish")

#: Most products in a sum whose worst case, codes 255 and -128, fits int32: 65,793 * 255 * 128 < 2^31.
LONGEST = 65_793


def four_sides(padding: Sequence[int]) -> tuple[int, int, int, int]:
    """Return (left, right, top, bottom) of ``(height, width)`` or of those four numbers themselves."""
    if len(padding) == 2:
        return padding[1], padding[1], padding[0], padding[0]
    left, right, top, bottom = padding
    return left, right, top, bottom


def output_shape(
    x: Sequence[int],
    w: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> tuple[int, int, int, int]:
    """Return (b, n, height, width) of the result for the shapes of input and weight."""
    left, right, top, bottom = four_sides(padding)
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, w[2:], strict=True)]
    high, wide = x[2] + top + bottom, x[3] + left + right
    return x[0], w[0], (high - spans[0]) // stride[0] + 1, (wide - spans[1]) // stride[1] + 1


def activate(value: torch.Tensor, activation: str) -> torch.Tensor:
    """Return one of ``ACTIVATIONS`` of the values."""
    if activation == "relu":
        return value.relu()
    if activation == "relu6":
        return value.clamp(0, 6)
    if activation == "silu":
        return torch.nn.functional.silu(value)
    # Spelled out: torch's own rounds the sixth to float32 in any type.
    return value * (value + 3).clamp(0, 6) / 6 if activation == "hardswish" else value


def run(
    x: torch.Tensor,
    x_scale: torch.Tensor,
    x_zero: int,
    w: torch.Tensor,
    w_scale: torch.Tensor,
    bias: torch.Tensor | None,
    residual: torch.Tensor | None,
    residual_step: float,
    residual_zero: int,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    activation: str,
    out_dtype: torch.dtype,
    out_step: float,
    out_zero: int,
) -> torch.Tensor:
    """Return (b, n, height, width) float64: the exact number that a float type rounds, or the codes."""
    numbers = torch.nn.functional.pad(x.double() - x_zero, four_sides(padding))
    total = torch.nn.functional.conv2d(numbers, w.double(), None, list(stride), 0, list(dilation), groups)
    y = total * x_scale.double() * w_scale.double().reshape(-1, 1, 1)
    if bias is not None:
        y = y + bias.double().reshape(-1, 1, 1)
    if residual is not None:
        y = y + (residual.double() - residual_zero) * residual_step
    y = activate(y, activation)
    return (y / out_step).round().add(out_zero).clamp(0, 255) if out_dtype == torch.uint8 else y
