"""``w8a8_linear``: ``activation((x_codes @ w_codes.T) * x_scale * w_scale + bias + residual)``."""

from __future__ import annotations

import torch

from automl.core.errors import KernelError
from automl.kernels import table
from automl.kernels.checks import need_device
from automl.kernels.checks import need_dtype
from automl.kernels.checks import need_epilogue
from automl.kernels.checks import need_shape
from automl.kernels.checks import need_steps
from automl.kernels.dispatch import choose
from automl.kernels.spec import KernelSpec
from automl.kernels.w8a8_linear.reference import LONGEST

__all__ = ["SPEC", "w8a8_linear"]

SPEC = KernelSpec(
    name="w8a8_linear",
    summary="int8 x int8 in int32, scales per row and channel, fused bias, residual and activation",
    dtypes=("int8",),
    cpu="oneDNN qlinear_pointwise (AMX, VNNI): one fused call with one input scale, scaled after with many",
    native="products of few rows, and with steps by row; of others codes before and epilogue after",
)


@torch.library.custom_op("automl::w8a8_linear", mutates_args=())
def _w8a8_linear(
    x: torch.Tensor,
    x_scale: torch.Tensor,
    w: torch.Tensor,
    w_scale: torch.Tensor,
    bias: torch.Tensor | None,
    residual: torch.Tensor | None,
    activation: str,
    out_dtype: torch.dtype,
    implementation: str,
) -> torch.Tensor:
    need_steps(SPEC.name, "x_scale", x_scale, measured=True)
    need_steps(SPEC.name, "w_scale", w_scale)
    run = table.implementation(SPEC.name, implementation)
    y: torch.Tensor = run(x, x_scale, w, w_scale, bias, residual, activation, out_dtype)
    return y.to(out_dtype)


@_w8a8_linear.register_fake
def _fake(
    x: torch.Tensor,
    x_scale: torch.Tensor,
    w: torch.Tensor,
    w_scale: torch.Tensor,
    bias: torch.Tensor | None,
    residual: torch.Tensor | None,
    activation: str,
    out_dtype: torch.dtype,
    implementation: str,
) -> torch.Tensor:
    return x.new_empty((x.shape[0], w.shape[0]), dtype=out_dtype)


def w8a8_linear(
    x: torch.Tensor,
    x_scale: torch.Tensor,
    w: torch.Tensor,
    w_scale: torch.Tensor,
    bias: torch.Tensor | None = None,
    *,
    residual: torch.Tensor | None = None,
    activation: str = "none",
    out_dtype: torch.dtype = torch.float32,
    preference: str = "auto",
) -> torch.Tensor:
    """Return the linear layer of int8 codes.

    Args:
        x: (..., k) int8 activation codes, any strides; no rows at all is allowed.
        x_scale: float32, x.shape[:-1] per row or () for all, positive; NaN marks a bad input and passes on.
        w: (n, k) int8 weight codes.
        w_scale: (n,) float32, positive.
        bias: (n,).
        residual: (..., n), added before the activation.
        activation: ``none``, ``relu``, ``gelu`` (exact) or ``silu``.
        out_dtype: float32, float16 or bfloat16.
        preference: see ``automl.kernels.dispatch``.

    Returns:
        (..., n) of ``out_dtype``.

    Raises:
        KernelError: a type, shape, scale or option is not allowed, int32 could overflow (k beyond 131,071),
            or the ordered implementation cannot run.
    """
    need_dtype(SPEC.name, "x", x, (torch.int8,))
    need_dtype(SPEC.name, "w", w, (torch.int8,))
    need_shape(SPEC.name, "w", w, (None, x.shape[-1] if x.dim() else 0), "(n, k) with the k of x (..., k)")
    need_dtype(SPEC.name, "x_scale", x_scale, (torch.float32,))
    if x_scale.dim():
        need_shape(SPEC.name, "x_scale", x_scale, x.shape[:-1], "one per row, or () for all")
    need_dtype(SPEC.name, "w_scale", w_scale, (torch.float32,))
    need_shape(SPEC.name, "w_scale", w_scale, (w.shape[0],), "(n,)")
    need_epilogue(SPEC.name, (*x.shape[:-1], w.shape[0]), bias, residual, activation, out_dtype)
    need_device(
        SPEC.name, x, {"x_scale": x_scale, "w": w, "w_scale": w_scale, "bias": bias, "residual": residual}
    )
    if x.shape[-1] > LONGEST:
        raise KernelError(
            f"kernel '{SPEC.name}' got k={x.shape[-1]}; allowed: at most {LONGEST}, beyond which int32 sums "
            "of int8 products can overflow; split the layer"
        )
    choice = choose(SPEC, x.device.type, preference=preference)
    y: torch.Tensor = _w8a8_linear(
        x.reshape(-1, x.shape[-1]),
        x_scale.reshape(-1) if x_scale.dim() else x_scale,
        w,
        w_scale,
        bias,
        None if residual is None else residual.reshape(-1, w.shape[0]),
        activation,
        out_dtype,
        choice.implementation,
    )
    return y.reshape(*x.shape[:-1], w.shape[0])
