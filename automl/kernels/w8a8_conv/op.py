"""``w8a8_conv``: ``activation(conv(x_codes - x_zero, w_codes) * x_scale * w_scale + bias + residual)``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from automl.core.errors import KernelError
from automl.kernels import table
from automl.kernels.checks import FLOATS
from automl.kernels.checks import need_device
from automl.kernels.checks import need_dtype
from automl.kernels.checks import need_one_of
from automl.kernels.checks import need_shape
from automl.kernels.checks import need_steps
from automl.kernels.dispatch import choose
from automl.kernels.spec import KernelSpec
from automl.kernels.w8a8_conv.reference import ACTIVATIONS
from automl.kernels.w8a8_conv.reference import LONGEST
from automl.kernels.w8a8_conv.reference import output_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SPEC", "w8a8_conv"]

SPEC = KernelSpec(
    name="w8a8_conv",
    summary="2-d convolution of 8-bit codes in int32, any groups, fused bias, residual, activation and codes",
    dtypes=("uint8",),
    implementations=("reference", "cpu"),
    cpu="oneDNN qconv_pointwise (AMX, VNNI), one fused call, channels last",
    triton="on a GPU a convolution is a matrix product over its windows, which w8a8_linear multiplies",
)


@torch.library.custom_op("automl::w8a8_conv", mutates_args=())
def _w8a8_conv(
    x: torch.Tensor,
    x_scale: torch.Tensor,
    x_zero: int,
    w: torch.Tensor,
    w_scale: torch.Tensor,
    bias: torch.Tensor | None,
    residual: torch.Tensor | None,
    residual_step: float,
    residual_zero: int,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
    activation: str,
    out_dtype: torch.dtype,
    out_step: float,
    out_zero: int,
    implementation: str,
) -> torch.Tensor:
    need_steps(SPEC.name, "x_scale", x_scale)
    need_steps(SPEC.name, "w_scale", w_scale)
    y: torch.Tensor = table.implementation(SPEC.name, implementation)(
        x,
        x_scale,
        x_zero,
        w,
        w_scale,
        bias,
        residual,
        residual_step,
        residual_zero,
        stride,
        padding,
        dilation,
        groups,
        activation,
        out_dtype,
        out_step,
        out_zero,
    )
    return y.to(out_dtype).contiguous(memory_format=torch.channels_last)


@_w8a8_conv.register_fake
def _fake(
    x: torch.Tensor,
    x_scale: torch.Tensor,
    x_zero: int,
    w: torch.Tensor,
    w_scale: torch.Tensor,
    bias: torch.Tensor | None,
    residual: torch.Tensor | None,
    residual_step: float,
    residual_zero: int,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
    activation: str,
    out_dtype: torch.dtype,
    out_step: float,
    out_zero: int,
    implementation: str,
) -> torch.Tensor:
    shape = output_shape(x.shape, w.shape, stride, padding, dilation)
    return torch.empty(shape, dtype=out_dtype, device=x.device, memory_format=torch.channels_last)


def w8a8_conv(
    x: torch.Tensor,
    x_scale: torch.Tensor,
    w: torch.Tensor,
    w_scale: torch.Tensor,
    bias: torch.Tensor | None = None,
    *,
    x_zero: int = 0,
    residual: torch.Tensor | None = None,
    residual_codes: tuple[float, int] = (1.0, 0),
    stride: Sequence[int] = (1, 1),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    groups: int = 1,
    activation: str = "none",
    out_dtype: torch.dtype = torch.float32,
    out_codes: tuple[float, int] | None = None,
    preference: str = "auto",
) -> torch.Tensor:
    """Return the two-dimensional convolution of 8-bit codes.

    Args:
        x: (b, c, height, width) uint8 activation codes, any strides; no sample at all is allowed.
        x_scale: () float32, positive.
        w: (n, c / groups, height, width) int8 weight codes.
        w_scale: (n,) float32, positive.
        bias: (n,).
        x_zero: code of the number 0, 0 to 255; padding has it.
        residual: of the output's shape, added before the activation: a float type, or uint8 codes.
        residual_codes: (step, zero) of a residual of codes.
        stride: (height, width).
        padding: (height, width), or (left, right, top, bottom).
        dilation: (height, width).
        groups: of channels.
        activation: ``none``, ``relu``, ``relu6``, ``silu`` or ``hardswish``.
        out_dtype: float32, float16 or bfloat16 of a result of numbers.
        out_codes: (step, zero) of a result of uint8 codes, ``clip(round(y / step) + zero, 0, 255)``, half to
            even.
        preference: see ``automl.kernels.dispatch``.

    Returns:
        (b, n, height, width), channels last, of ``out_dtype``, or uint8 codes.

    Raises:
        KernelError: a type, shape, scale or option is not allowed, int32 could overflow (more than 65,793
            products in a sum), or the ordered implementation cannot run.
    """
    need_dtype(SPEC.name, "x", x, (torch.uint8,))
    need_dtype(SPEC.name, "w", w, (torch.int8,))
    need_shape(SPEC.name, "x", x, (None, None, None, None), "(b, c, height, width)")
    _need_geometry(x, w, groups, stride, padding, dilation)
    need_dtype(SPEC.name, "x_scale", x_scale, (torch.float32,))
    need_shape(SPEC.name, "x_scale", x_scale, (), "one step for all, ()")
    need_dtype(SPEC.name, "w_scale", w_scale, (torch.float32,))
    need_shape(SPEC.name, "w_scale", w_scale, (w.shape[0],), "(n,)")
    need_one_of(SPEC.name, "activation", activation, ACTIVATIONS)
    need_one_of(SPEC.name, "out_dtype", out_dtype, FLOATS)
    _need_codes("x_zero", (1.0, x_zero))
    _need_codes("residual_codes", residual_codes)
    _need_codes("out_codes", out_codes or (1.0, 0))
    if bias is not None:
        need_dtype(SPEC.name, "bias", bias, FLOATS)
        need_shape(SPEC.name, "bias", bias, (w.shape[0],), "(n,)")
    if residual is not None:
        need_dtype(SPEC.name, "residual", residual, (*FLOATS, torch.uint8))
        shape = output_shape(x.shape, w.shape, stride, padding, dilation)
        need_shape(SPEC.name, "residual", residual, shape, "the shape of the output")
    others = {"x_scale": x_scale, "w": w, "w_scale": w_scale, "bias": bias, "residual": residual}
    need_device(SPEC.name, x, others)
    choice = choose(SPEC, x.device.type, preference=preference)
    of_codes = residual is not None and residual.dtype == torch.uint8
    y: torch.Tensor = _w8a8_conv(
        x,
        x_scale,
        x_zero,
        w,
        w_scale,
        bias,
        residual,
        *(residual_codes if of_codes else (1.0, 0)),
        list(stride),
        list(padding),
        list(dilation),
        groups,
        activation,
        out_dtype if out_codes is None else torch.uint8,
        *(out_codes or (1.0, 0)),
        choice.implementation,
    )
    return y


def _need_codes(name: str, codes: tuple[float, int]) -> None:
    step, zero = codes
    if not 0 < step < math.inf or not 0 <= zero <= 255:
        raise KernelError(
            f"kernel '{SPEC.name}' got {name} with the step {step} and the zero point {zero}; allowed: a "
            "positive finite step, 0 to 255; calibrate the range again"
        )


def _need_geometry(
    x: torch.Tensor,
    w: torch.Tensor,
    groups: int,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> None:
    """Refuse a geometry that is no convolution of these operands.

    Raises:
        KernelError: it is none.
    """
    for name, numbers, least, lengths in (
        ("stride", stride, 1, (2,)),
        ("padding", padding, 0, (2, 4)),
        ("dilation", dilation, 1, (2,)),
    ):
        if len(numbers) not in lengths or min(numbers) < least:
            raise KernelError(
                f"kernel '{SPEC.name}' got {name}={tuple(numbers)}; allowed: "
                f"{' or '.join(map(str, lengths))} whole numbers of at least {least}; write one per axis"
            )
    if groups < 1 or x.shape[1] % groups or w.shape[0] % groups:
        raise KernelError(
            f"kernel '{SPEC.name}' got groups={groups} for {x.shape[1]} input and {w.shape[0]} output "
            "channels; allowed: a number that divides both; check the layer's groups"
        )
    need_shape(SPEC.name, "w", w, (None, x.shape[1] // groups, None, None), "(n, c / groups, height, width)")
    shape = output_shape(x.shape, w.shape, stride, padding, dilation)
    if min(shape[1:]) < 1 or min(w.shape) < 1:
        raise KernelError(
            f"kernel '{SPEC.name}' got a window {tuple(w.shape[2:])} for a map {tuple(x.shape[2:])}; "
            "allowed: windows that fit the padded map; pad it, or shrink the window"
        )
    if (length := math.prod(w.shape[1:])) > LONGEST:
        raise KernelError(
            f"kernel '{SPEC.name}' got sums of {length} products; allowed: at most {LONGEST}, beyond which "
            "int32 sums of 8-bit products can overflow; split the layer"
        )
