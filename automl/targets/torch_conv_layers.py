"""Convolutions of torch programs: in float on the CPU, and of codes as a product over windows elsewhere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SMALL", "ConvGeometry", "ConvLayer", "FloatConv", "small_conv"]

_POST_OPS: dict[str, tuple[str, list[float | None]]] = {
    "none": ("none", []),
    "relu": ("relu", []),
    "relu6": ("hardtanh", [0.0, 6.0]),
    "silu": ("swish", []),
    "hardswish": ("hardswish", []),
}

#: Multiply-accumulates of a dense convolution up to which the fixed cost of a oneDNN call, 25 to 30
#: microseconds, is more than torch's own convolution takes.
SMALL = 1 << 20


@dataclass(frozen=True)
class ConvGeometry:
    """A two-dimensional convolution; pairs are (height, width).

    Args:
        window: size of the window.
        stride: step of the window.
        padding: of zeros, on both sides.
        dilation: distance of what the window reads.
        groups: of channels.
        extra: (left, right, top, bottom) of zeros that a padding before the convolution adds.
    """

    window: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int = 1
    extra: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def sides(self) -> tuple[int, int, int, int]:
        """(left, right, top, bottom) of all zeros around the map."""
        high, wide = self.padding
        left, right, top, bottom = self.extra
        return left + wide, right + wide, top + high, bottom + high


class ConvLayer(torch.nn.Module):
    """A convolution of int8 codes, of a single group, as a matrix product over its windows.

    Args:
        linear: product of codes (..., channels * height * width of the window).
        geometry: the convolution.
        zero: code of the number 0, which pads.
    """

    def __init__(self, linear: torch.nn.Module, geometry: ConvGeometry, zero: int) -> None:
        super().__init__()
        self.linear, self.geometry, self.zero = linear, geometry, zero

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, out, height, width) of codes (n, channels, height, width)."""
        wide, g = self._padded(x), self.geometry
        spans = [d * (w - 1) + 1 for w, d in zip(g.window, g.dilation, strict=True)]
        windows = wide.unfold(2, spans[0], g.stride[0]).unfold(3, spans[1], g.stride[1])
        windows = windows[..., :: g.dilation[0], :: g.dilation[1]]
        rows = windows.permute(0, 2, 3, 1, 4, 5).flatten(3)
        y: torch.Tensor = self.linear(rows)
        return y.permute(0, 3, 1, 2)

    def _padded(self, x: torch.Tensor) -> torch.Tensor:
        sides = self.geometry.sides
        return torch.nn.functional.pad(x, sides, value=self.zero) if any(sides) else x


class FloatConv(torch.nn.Module):
    """A convolution of numbers on the CPU, channels last, its weight packed once and its activation fused.

    A small dense one is torch's own, whose call costs less.

    Args:
        weight: (n, c / groups, height, width).
        bias: (n,) or None.
        geometry: the convolution.
        dtype: float32 or bfloat16; inputs must have it.
        activation: one of ``automl.kernels.w8a8_conv.reference.ACTIVATIONS``.
        shape: (b, c, height, width) of most inputs, None when unknown.
    """

    weight: torch.Tensor
    bias: torch.Tensor | None

    def __init__(
        self,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        geometry: ConvGeometry,
        *,
        dtype: torch.dtype,
        activation: str = "none",
        shape: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        g = geometry
        weight = weight.to(dtype)
        self._small = activation == "none" and small_conv(weight, g, dtype, shape)
        if not self._small:
            wide = None if shape is None else list(shape)
            weight = torch.ops.mkldnn._reorder_convolution_weight(
                weight.contiguous(), g.padding, g.stride, g.dilation, g.groups, wide
            )
        self.register_buffer("weight", weight)
        self.register_buffer("bias", None if bias is None else bias.to(dtype))
        self._lists: Any = (list(g.padding), list(g.stride), list(g.dilation))
        self._groups, self._post = g.groups, _POST_OPS[activation]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (b, n, height, width) of (b, c, height, width)."""
        padding, stride, dilation = self._lists
        if self._small:
            return torch.conv2d(x, self.weight, self.bias, stride, padding, dilation, self._groups)
        y: torch.Tensor = torch.ops.mkldnn._convolution_pointwise(
            x.contiguous(memory_format=torch.channels_last),
            self.weight,
            self.bias,
            padding,
            stride,
            dilation,
            self._groups,
            *self._post,
            "",
        )
        return y


def small_conv(
    weight: torch.Tensor, geometry: ConvGeometry, dtype: torch.dtype, shape: Sequence[int] | None
) -> bool:
    """Return whether a convolution for inputs of a shape is dense, of float32, and at most ``SMALL``."""
    if shape is None or dtype is not torch.float32 or geometry.groups > 1:
        return False
    high, wide = (n // s for n, s in zip(shape[2:], geometry.stride, strict=True))
    return math.prod((shape[0], high, wide, *weight.shape)) <= SMALL
