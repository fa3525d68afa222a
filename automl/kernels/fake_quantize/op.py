"""``fake_quantize``: quantize-dequantize in one pass, with a straight-through gradient.

The gradient of x is that of y where x was not clipped and zero where it was; scales and zero points get none.
"""

from __future__ import annotations

from typing import Any

import torch

from automl.core.errors import KernelError
from automl.kernels import table
from automl.kernels.checks import need_device
from automl.kernels.checks import need_dtype
from automl.kernels.checks import need_one_of
from automl.kernels.checks import need_shape
from automl.kernels.checks import need_steps
from automl.kernels.dispatch import choose
from automl.kernels.fake_quantize.layout_math import GRANULARITIES
from automl.kernels.fake_quantize.layout_math import scale_shape
from automl.kernels.spec import KernelSpec

__all__ = ["SPEC", "fake_quantize"]

SPEC = KernelSpec(
    name="fake_quantize",
    summary="quantize-dequantize per tensor, channel or group in one pass, with a straight-through gradient",
    dtypes=("float32", "float16", "bfloat16"),
    cpu="in-place torch operators",
)

_FLOATS = (torch.float32, torch.float16, torch.bfloat16)

#: Codes of 16 bits, signed or unsigned: their differences are exact in float32.
_LOWEST, _HIGHEST = -32768, 65535


@torch.library.custom_op("automl::fake_quantize", mutates_args=())
def _fake_quantize(
    x: torch.Tensor,
    scale: torch.Tensor,
    zero: torch.Tensor | None,
    granularity: str,
    axis: int,
    group: int,
    low: int,
    high: int,
    implementation: str,
) -> torch.Tensor:
    need_steps(SPEC.name, "scale", scale)
    run = table.implementation(SPEC.name, implementation)
    y: torch.Tensor = run(x, scale, zero, granularity, axis, group, low, high)
    return y


@torch.library.custom_op("automl::fake_quantize_backward", mutates_args=())
def _fake_quantize_backward(
    grad: torch.Tensor,
    x: torch.Tensor,
    scale: torch.Tensor,
    zero: torch.Tensor | None,
    granularity: str,
    axis: int,
    group: int,
    low: int,
    high: int,
    implementation: str,
) -> torch.Tensor:
    run = table.implementation(SPEC.name, implementation, "run_backward")
    slope: torch.Tensor = run(grad, x, scale, zero, granularity, axis, group, low, high)
    return slope


def _shape_of(first: torch.Tensor, *_rest: Any) -> torch.Tensor:
    return first.new_empty(first.shape)


_fake_quantize.register_fake(_shape_of)
_fake_quantize_backward.register_fake(_shape_of)


def _remember(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    x, scale, zero, *options = inputs
    ctx.save_for_backward(x, scale, zero)
    ctx.options = options


def _backward(ctx: Any, grad: torch.Tensor) -> tuple[Any, ...]:
    return _fake_quantize_backward(grad, *ctx.saved_tensors, *ctx.options), *(None,) * 8


_fake_quantize.register_autograd(_backward, setup_context=_remember)


def _need_axes(x: torch.Tensor, granularity: str, axis: int, group: int) -> None:
    if x.dim() == 0 or (granularity == "group" and x.shape[-1] == 0):
        raise KernelError(
            f"kernel '{SPEC.name}' got x of shape {tuple(x.shape)}; allowed: at least one axis, and a "
            "column where groups are cut from it; reshape it"
        )
    if granularity == "channel" and not -x.dim() <= axis < x.dim():
        raise KernelError(
            f"kernel '{SPEC.name}' got axis={axis} for x of shape {tuple(x.shape)}; "
            f"allowed: {-x.dim()} to {x.dim() - 1}; name an axis of x"
        )
    if granularity == "group" and group < 1:
        raise KernelError(
            f"kernel '{SPEC.name}' got group={group}; allowed: 1 or more columns; use 32, 64 or 128"
        )


def fake_quantize(
    x: torch.Tensor,
    scale: torch.Tensor,
    zero: torch.Tensor | None = None,
    *,
    low: int,
    high: int,
    granularity: str = "tensor",
    axis: int = -1,
    group: int = 64,
    preference: str = "auto",
) -> torch.Tensor:
    """Return ``scale * (clip(round(x / scale) + zero, low, high) - zero)``, half to even, in the type of x.

    Args:
        x: float32, float16 or bfloat16, any shape with an axis, any strides; arithmetic is float32.
        scale: positive float32 steps: () per tensor, (x.shape[axis],) per channel, and
            (*x.shape[:-1], ceil(x.shape[-1] / group)) per group, the last of which may be short.
        zero: int32 zero points of the shape of ``scale``, each within [low, high]; None for none.
        low: smallest code, -32768 or more.
        high: largest code, at most 65535.
        granularity: ``tensor``, ``channel`` or ``group`` (along the last axis).
        axis: the channel's axis.
        group: columns of one group.
        preference: see ``automl.kernels.dispatch``.

    Raises:
        KernelError: a type, shape, range or option is not allowed, a scale (on the CPU) is not positive
            and finite, or the ordered implementation cannot run.
    """
    need_dtype(SPEC.name, "x", x, _FLOATS)
    need_dtype(SPEC.name, "scale", scale, (torch.float32,))
    need_one_of(SPEC.name, "granularity", granularity, GRANULARITIES)
    _need_axes(x, granularity, axis, group)
    if not _LOWEST <= low < high <= _HIGHEST:
        raise KernelError(
            f"kernel '{SPEC.name}' got codes from {low} to {high}; allowed: low < high within "
            f"[{_LOWEST}, {_HIGHEST}]; use -128 to 127 for int8"
        )
    axis = axis % x.dim() if granularity == "channel" else 0
    wanted = scale_shape(x.shape, granularity, axis, group)
    need_shape(SPEC.name, "scale", scale, wanted, "() per tensor, (channels,), or (..., groups)")
    if zero is not None:
        need_dtype(SPEC.name, "zero", zero, (torch.int32,))
        need_shape(SPEC.name, "zero", zero, wanted, "that of scale")
    need_device(SPEC.name, x, {"scale": scale, "zero": zero})
    choice = choose(SPEC, x.device.type, preference=preference)
    y: torch.Tensor = _fake_quantize(
        x, scale, zero, granularity, axis, group, low, high, choice.implementation
    )
    return y
