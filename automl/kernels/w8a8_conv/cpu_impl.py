"""``w8a8_conv`` on the CPU: oneDNN's int8 convolution (AMX, VNNI) with its epilogue fused.

oneDNN takes a zero point of the input, but then reorders the packed weight in every call, which takes several
times as long as the product where the map is small. So the zero point is part of the bias,
``sum (c - z) w = sum c w - z sum w``, and what pads is the code ``z`` itself, written around the map. Only a
depthwise convolution of a large map, whose weight is small and whose copy is not, leaves it to oneDNN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from automl.kernels.checks import need_steps
from automl.kernels.w8a8_conv.reference import activate
from automl.kernels.w8a8_conv.reference import four_sides
from automl.kernels.w8a8_conv.reference import output_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PackedConv", "pack", "run"]

_POST_OPS: dict[str, tuple[str, list[float | None]]] = {
    "none": ("none", []),
    "relu": ("relu", []),
    "relu6": ("hardtanh", [0.0, 6.0]),
    "silu": ("swish", []),
    "hardswish": ("hardswish", []),
}

#: What oneDNN applies after it has added the residual.
_AFTER_RESIDUAL = ("none", "relu")

#: Numbers of a map from which on its copy takes longer than the reordering of a depthwise weight.
_LARGE_MAP = 1 << 18

_POINTWISE = torch.ops.onednn.qconv_pointwise.default
_BINARY = torch.ops.onednn.qconv2d_pointwise.binary


@dataclass(frozen=True)
class PackedConv:
    """A weight in oneDNN's blocked layout; packing costs milliseconds, so it is done once.

    Args:
        weight: packed codes.
        scale: (n,) float32.
        zero: (n,) int32 zeros.
        bias: (n,) float32, with the term of a zero point of the input that oneDNN is not told.
        x_scale: step of the input's codes.
        x_zero: code of the input's 0, which is written around the map.
        named_zero: the same where it is left to oneDNN, 0 where it is part of the bias.
        written: (left, right, top, bottom) of the padding that is written around the map.
        stride: (height, width).
        padding: (height, width) of the padding that oneDNN does, of code 0.
        dilation: (height, width).
        groups: of channels.
        activation: fused activation.
        out_dtype: float32, bfloat16, or uint8 for codes.
        out_codes: (step, zero) of codes.
    """

    weight: torch.Tensor
    scale: torch.Tensor
    zero: torch.Tensor
    bias: torch.Tensor
    x_scale: float
    x_zero: int
    named_zero: int
    written: tuple[int, int, int, int] | None
    stride: list[int]
    padding: list[int]
    dilation: list[int]
    groups: int
    activation: str
    out_dtype: torch.dtype
    out_codes: tuple[float, int]

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return the convolution of uint8 codes (b, c, height, width)."""
        if self.written is not None:
            x = torch.nn.functional.pad(x, self.written, value=self.x_zero)
        y: torch.Tensor = _POINTWISE(
            x,
            self.x_scale,
            self.named_zero,
            self.weight,
            self.scale,
            self.zero,
            self.bias,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
            *self.out_codes,
            self.out_dtype,
            *_POST_OPS[self.activation],
            "",
        )
        return y

    def added(self, x: torch.Tensor, residual: torch.Tensor, codes: tuple[float, int]) -> torch.Tensor:
        """Return the convolution with a residual of the output's type added before ``none`` or ``relu``.

        Args:
            x: uint8 codes.
            residual: channels last, of the output's shape and type; overwritten by the result.
            codes: (step, zero) of a residual of codes.
        """
        if self.written is not None:
            x = torch.nn.functional.pad(x, self.written, value=self.x_zero)
        y: torch.Tensor = _BINARY(
            x,
            self.x_scale,
            self.named_zero,
            self.weight,
            self.scale,
            self.zero,
            residual,
            self.bias,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
            *self.out_codes,
            self.out_dtype,
            *codes,
            "sum",
            1.0,
            self.activation,
            [],
            "",
        )
        return y


def pack(
    w: torch.Tensor,
    w_scale: torch.Tensor,
    bias: torch.Tensor | None,
    *,
    x_scale: float,
    x_zero: int = 0,
    stride: Sequence[int] = (1, 1),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    groups: int = 1,
    activation: str = "none",
    out_dtype: torch.dtype = torch.float32,
    out_codes: tuple[float, int] = (1.0, 0),
    shape: Sequence[int] | None = None,
) -> PackedConv:
    """Return the weight ready for any number of convolutions.

    Args:
        w: (n, c / groups, height, width) int8 codes.
        w_scale: (n,) steps.
        bias: (n,) or None.
        x_scale: step of the input's codes.
        x_zero: code of the input's 0, 0 to 255.
        stride: (height, width).
        padding: (height, width), or (left, right, top, bottom).
        dilation: (height, width).
        groups: of channels.
        activation: one of ``automl.kernels.w8a8_conv.reference.ACTIVATIONS``.
        out_dtype: float32, bfloat16, or uint8 for a result that the next layer reads as codes.
        out_codes: (step, zero) of codes.
        shape: (b, c, height, width) of most inputs, for which the layout of the weight is chosen.

    Raises:
        KernelError: a scale is not positive and finite.
    """
    need_steps("w8a8_conv", "w_scale", w_scale)
    left, right, top, bottom = four_sides(padding)
    deep = w.shape[1] == 1
    named = x_zero if deep and shape is not None and math.prod(shape[1:]) >= _LARGE_MAP else 0
    if x_zero == named and deep and list(dilation) == [1, 1]:
        w, (left, right, top, bottom) = _evened(w, (left, right, top, bottom))
    itself = (left == right and top == bottom and x_zero == named) or not any((left, right, top, bottom))
    named = named if itself and (left or top) else 0
    inner = [top, left] if itself else [0, 0]
    if shape is not None and not itself:
        shape = [*shape[:2], shape[2] + top + bottom, shape[3] + left + right]
    whole = torch.zeros(len(w), dtype=torch.float64) if bias is None else bias.double()
    if x_zero != named:
        sums = w.flatten(1).sum(dim=1, dtype=torch.int64)
        whole = whole - sums.double() * w_scale.double() * (x_zero * x_scale)
    steps = w_scale.float().contiguous()
    strides, dilations = list(stride), list(dilation)
    wide = None if shape is None else list(shape)
    weight = torch.ops.onednn.qconv_prepack(
        w.contiguous(), steps, x_scale, named, strides, inner, dilations, groups, wide
    )
    return PackedConv(
        weight,
        steps,
        torch.zeros(len(w), dtype=torch.int32),
        whole.float(),
        x_scale,
        x_zero,
        named,
        None if itself else (left, right, top, bottom),
        strides,
        inner,
        dilations,
        groups,
        activation,
        out_dtype,
        out_codes,
    )


def _evened(
    w: torch.Tensor, sides: tuple[int, int, int, int]
) -> tuple[torch.Tensor, tuple[int, int, int, int]]:
    """Return the weight and the padding of the same convolution whose padding is even.

    A row of zeros in the window stands for a row of padding less: for a depthwise window, which is bound by
    the map's bytes, that costs less than a copy of the map with zeros around it.
    """
    left, right, top, bottom = sides
    zeros = (max(right - left, 0), max(left - right, 0), max(bottom - top, 0), max(top - bottom, 0))
    wide, high = max(left, right), max(top, bottom)
    return torch.nn.functional.pad(w, zeros), (wide, wide, high, high)


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
    """Return (b, n, height, width) of ``out_dtype``; it packs the weight in every call: use ``pack``."""
    x = x.contiguous(memory_format=torch.channels_last)
    wanted = torch.float32 if out_dtype == torch.float16 else out_dtype
    fused = residual is None or (
        activation in _AFTER_RESIDUAL and residual.dtype == wanted and wanted != torch.bfloat16
    )
    packed = pack(
        w,
        w_scale,
        bias,
        x_scale=float(x_scale),
        x_zero=x_zero,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        activation=activation if fused else "none",
        out_dtype=wanted if fused else torch.float32,
        out_codes=(out_step, out_zero) if fused and wanted == torch.uint8 else (1.0, 0),
        shape=x.shape,
    )
    if x.shape[0] == 0:
        return torch.empty(output_shape(x.shape, w.shape, stride, padding, dilation), dtype=out_dtype)
    if residual is None:
        return packed(x).to(out_dtype)
    if fused:
        own = residual.clone(memory_format=torch.channels_last)
        return packed.added(x, own, (residual_step, residual_zero)).to(out_dtype)
    y = packed(x).add_((residual.float() - residual_zero).mul_(residual_step))
    y = activate(y, activation)
    if out_dtype == torch.uint8:
        y = (y / out_step).round_().add_(out_zero).clamp_(0, 255)
    return y.to(out_dtype)
