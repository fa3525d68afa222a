"""``nm_linear``: a linear layer whose weight keeps 2 of 4 or 4 of 8 columns, stored compressed.

``y = x_scale * w_scale * (x @ w.T) + bias`` with float values, or with int8 codes on both sides. The mask
of a row is one byte for 8 columns, so both patterns are one format.
"""

from __future__ import annotations

import torch

from automl.core.errors import KernelError
from automl.kernels import table
from automl.kernels.checks import need_device
from automl.kernels.checks import need_dtype
from automl.kernels.checks import need_one_of
from automl.kernels.checks import need_shape
from automl.kernels.checks import need_steps
from automl.kernels.dispatch import choose
from automl.kernels.nm_linear.nm_math import KEPT
from automl.kernels.nm_linear.nm_math import group_count
from automl.kernels.nm_linear.reference import LONGEST
from automl.kernels.spec import KernelSpec

__all__ = ["SPEC", "nm_linear"]

SPEC = KernelSpec(
    name="nm_linear",
    summary="2:4 and 4:8 sparse weights stored as values and a mask, half-precision or int8",
    dtypes=("float16", "bfloat16", "int8"),
    implementations=("reference", "triton"),
    cpu=(
        "no N:M form beats the dense product on a CPU: expanding first adds to it, and a compressed-row "
        "product of the same weight took 2 to 8 times as long as dense float32; keep the layer dense there"
    ),
)

_VALUES = (torch.float16, torch.bfloat16, torch.int8)
_OUTPUTS = (torch.float32, torch.float16, torch.bfloat16, torch.int32)


@torch.library.custom_op("automl::nm_linear", mutates_args=())
def _nm_linear(
    x: torch.Tensor,
    values: torch.Tensor,
    mask: torch.Tensor,
    x_scale: torch.Tensor | None,
    w_scale: torch.Tensor | None,
    bias: torch.Tensor | None,
    out_dtype: torch.dtype,
    implementation: str,
) -> torch.Tensor:
    if x_scale is not None:
        need_steps(SPEC.name, "x_scale", x_scale, measured=True)
    if w_scale is not None:
        need_steps(SPEC.name, "w_scale", w_scale)
    run = table.implementation(SPEC.name, implementation)
    y: torch.Tensor = run(x, values, mask, x_scale, w_scale, bias, out_dtype)
    return y.to(out_dtype)


@_nm_linear.register_fake
def _fake(
    x: torch.Tensor,
    values: torch.Tensor,
    mask: torch.Tensor,
    x_scale: torch.Tensor | None,
    w_scale: torch.Tensor | None,
    bias: torch.Tensor | None,
    out_dtype: torch.dtype,
    implementation: str,
) -> torch.Tensor:
    return x.new_empty((x.shape[0], mask.shape[0]), dtype=out_dtype)


def _need_sums(x: torch.Tensor, out_dtype: torch.dtype, scaled: bool) -> None:
    if out_dtype == torch.int32 and (scaled or x.dtype != torch.int8):
        raise KernelError(
            f"kernel '{SPEC.name}' got out_dtype=int32 with a scale, a bias or float values; allowed: "
            "plain sums of int8 codes in int32; take out_dtype=float32"
        )
    if x.dtype == torch.int8 and x.shape[-1] > LONGEST:
        raise KernelError(
            f"kernel '{SPEC.name}' got k={x.shape[-1]}; allowed: at most {LONGEST} int8 codes, beyond which "
            "int32 sums can overflow; split the layer"
        )


def nm_linear(
    x: torch.Tensor,
    values: torch.Tensor,
    mask: torch.Tensor,
    *,
    x_scale: torch.Tensor | None = None,
    w_scale: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    out_dtype: torch.dtype = torch.float32,
    preference: str = "auto",
) -> torch.Tensor:
    """Return the linear layer of an N:M sparse weight.

    Args:
        x: (..., k) float16, bfloat16 or int8, any strides; no rows at all is allowed.
        values: (n, 4 ceil(k / 8)) of the type of x, by ``nm_math.pack_nm``.
        mask: (n, ceil(k / 8)) uint8, four bits set in every byte.
        x_scale: float32, x.shape[:-1] per row or () for all.
        w_scale: (n,) float32.
        bias: (n,), any float type.
        out_dtype: float32, float16 or bfloat16; or int32 for the plain sums of int8 codes.
        preference: see ``automl.kernels.dispatch``.

    Returns:
        (..., n) of ``out_dtype``.

    Raises:
        KernelError: a type, shape or option is not allowed, int32 could overflow, or the ordered
            implementation cannot run.
    """
    need_dtype(SPEC.name, "x", x, _VALUES)
    need_dtype(SPEC.name, "values", values, (x.dtype,))
    need_dtype(SPEC.name, "mask", mask, (torch.uint8,))
    if x.dim() == 0 or x.shape[-1] == 0:
        raise KernelError(
            f"kernel '{SPEC.name}' got x of shape {tuple(x.shape)}; allowed: (..., k) with k >= 1; "
            "pass at least one input channel"
        )
    groups = group_count(x.shape[-1])
    need_shape(SPEC.name, "mask", mask, (None, groups), "(n, ceil(k / 8))")
    need_shape(SPEC.name, "values", values, (mask.shape[0], KEPT * groups), "(n, 4 ceil(k / 8))")
    need_one_of(SPEC.name, "out_dtype", out_dtype, _OUTPUTS)
    if x_scale is not None:
        need_dtype(SPEC.name, "x_scale", x_scale, (torch.float32,))
        if x_scale.dim():
            need_shape(SPEC.name, "x_scale", x_scale, x.shape[:-1], "one per row, or () for all")
    if w_scale is not None:
        need_dtype(SPEC.name, "w_scale", w_scale, (torch.float32,))
        need_shape(SPEC.name, "w_scale", w_scale, (mask.shape[0],), "(n,)")
    if bias is not None:
        need_shape(SPEC.name, "bias", bias, (mask.shape[0],), "(n,)")
    _need_sums(x, out_dtype, not (x_scale is None and w_scale is None and bias is None))
    others = {"values": values, "mask": mask, "x_scale": x_scale, "w_scale": w_scale, "bias": bias}
    need_device(SPEC.name, x, others)
    choice = choose(SPEC, x.device.type, preference=preference)
    y: torch.Tensor = _nm_linear(
        x.reshape(-1, x.shape[-1]),
        values,
        mask,
        x_scale.reshape(-1) if x_scale is not None and x_scale.dim() else x_scale,
        w_scale,
        bias,
        out_dtype,
        choice.implementation,
    )
    return y.reshape(*x.shape[:-1], mask.shape[0])
