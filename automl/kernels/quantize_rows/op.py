"""``quantize_rows``: symmetric int8 or fp8 codes of activations, per row or per tensor.

``codes = round(x / scale)``, half to even, with ``scale = max|x| / 127`` (448 for fp8) in single precision.
A row with NaN or infinity gets the scale NaN, so the fault shows in whatever is computed from it.
"""

from __future__ import annotations

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

__all__ = ["SPEC", "quantize_rows"]

SPEC = KernelSpec(
    name="quantize_rows",
    summary="dynamic or static int8 and fp8 e4m3 codes of activations, per row or per tensor, one read",
    dtypes=("float32", "float16", "bfloat16"),
    cpu="int8 codes compiled from C++ (AVX-512); without a compiler, and for fp8, torch operators",
    native="int8 codes: dynamic per row and per tensor, and with one static step",
)


@torch.library.custom_op("automl::quantize_rows", mutates_args=())
def _quantize_rows(
    x: torch.Tensor,
    fmt: str,
    granularity: str,
    scale: torch.Tensor | None,
    implementation: str,
    zero: int = 0,
) -> tuple[torch.Tensor, torch.Tensor]:
    if scale is not None:
        need_steps(SPEC.name, "scale", scale)
    codes, step = table.implementation(SPEC.name, implementation)(x, fmt, granularity, scale, zero)
    return codes, step


@_quantize_rows.register_fake
def _fake(
    x: torch.Tensor, fmt: str, granularity: str, scale: torch.Tensor | None, *_: object
) -> tuple[torch.Tensor, torch.Tensor]:
    codes = x.new_empty(x.shape, dtype=torch.int8 if fmt == "int8" else torch.float8_e4m3fn)
    shape = scale.shape if scale is not None else x.shape[:-1] if granularity == "row" else ()
    return codes, x.new_empty(shape, dtype=torch.float32)


def quantize_rows(
    x: torch.Tensor,
    *,
    fmt: str = "int8",
    granularity: str = "row",
    scale: torch.Tensor | None = None,
    zero: int = 0,
    preference: str = "auto",
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return codes and scales of ``x``.

    Args:
        x: (..., k), k >= 1, float32, float16 or bfloat16; any strides, no rows at all is allowed per row.
        fmt: ``int8`` or ``fp8_e4m3`` (e4m3fn, largest number 448).
        granularity: ``row`` or ``tensor``.
        scale: static scale, x.shape[:-1] per row or () per tensor, positive; codes beyond the range saturate.
        zero: code that stands for the number 0, with a static int8 scale alone; codes saturate after it is
            added.
        preference: see ``automl.kernels.dispatch``.

    Returns:
        Codes of the shape of ``x`` and float32 scales: x.shape[:-1] per row, () per tensor.

    Raises:
        KernelError: a type, shape or option is not allowed, or the ordered implementation cannot run.
    """
    need_dtype(SPEC.name, "x", x, FLOATS)
    need_one_of(SPEC.name, "fmt", fmt, ("int8", "fp8_e4m3"))
    need_one_of(SPEC.name, "granularity", granularity, ("row", "tensor"))
    if x.dim() == 0 or x.shape[-1] == 0 or (granularity == "tensor" and x.numel() == 0):
        raise KernelError(
            f"kernel '{SPEC.name}' got x of shape {tuple(x.shape)}; allowed: (..., k) with k >= 1, and at "
            "least one row per tensor; drop the empty call"
        )
    if scale is not None:
        need_dtype(SPEC.name, "scale", scale, (torch.float32,))
        wanted = x.shape[:-1] if granularity == "row" else ()
        need_shape(SPEC.name, "scale", scale, wanted, "one per row, or () per tensor")
        need_device(SPEC.name, x, {"scale": scale})
    if zero and (scale is None or fmt != "int8" or not -128 <= zero <= 127):
        raise KernelError(
            f"kernel '{SPEC.name}' got zero={zero}; allowed: -128 to 127 beside a static scale of int8 "
            "codes, 0 elsewhere; give the scale, or drop it"
        )
    choice = choose(SPEC, x.device.type, preference=preference)
    codes, step = _quantize_rows(x, fmt, granularity, scale, choice.implementation, zero)
    return codes, step
