"""``w4a8_linear``: int8 activations times signed 4-bit weights, in int32, with a fused epilogue.

Per channel ``y = (x_codes @ w_codes.T) * x_scale * scale``; with integer group scales
``y = x_scale / alpha * sum_g S_g (x_g @ w_g.T)``; with float group scales the same without ``alpha``.
"""

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
from automl.kernels.w4a8_linear.reference import LONGEST
from automl.kernels.w4a8_linear.scales_math import odd_group

__all__ = ["SPEC", "w4a8_linear"]

SPEC = KernelSpec(
    name="w4a8_linear",
    summary="int8 activations x signed 4-bit weights: scales per channel, or per group as integers or floats",
    dtypes=("int8",),
    paper="FastGEMM (OdysseyLLM), arXiv 2311.09550; Integer Scale, arXiv 2405.14597",
    cpu="oneDNN int8 per channel, at the bytes of int8; per group for exactness, not for speed",
)


@torch.library.custom_op("automl::w4a8_linear", mutates_args=())
def _w4a8_linear(
    x: torch.Tensor,
    x_scale: torch.Tensor,
    codes: torch.Tensor,
    scale: torch.Tensor,
    group: int,
    alpha: int,
    bias: torch.Tensor | None,
    residual: torch.Tensor | None,
    activation: str,
    out_dtype: torch.dtype,
    implementation: str,
) -> torch.Tensor:
    need_steps(SPEC.name, "x_scale", x_scale, measured=True)
    need_steps(SPEC.name, "scale", scale)
    run = table.implementation(SPEC.name, implementation)
    y: torch.Tensor = run(x, x_scale, codes, scale, group, alpha, bias, residual, activation, out_dtype)
    return y.to(out_dtype)


@_w4a8_linear.register_fake
def _fake(
    x: torch.Tensor,
    x_scale: torch.Tensor,
    codes: torch.Tensor,
    scale: torch.Tensor,
    group: int,
    alpha: int,
    bias: torch.Tensor | None,
    residual: torch.Tensor | None,
    activation: str,
    out_dtype: torch.dtype,
    implementation: str,
) -> torch.Tensor:
    return x.new_empty((x.shape[0], codes.shape[0]), dtype=out_dtype)


def _need_scales(scale: torch.Tensor, columns: int, inner: int, group: int, alpha: int) -> None:
    if group < 1:
        raise KernelError(
            f"kernel '{SPEC.name}' got group={group}; allowed: 1 or more; use 128, or k for one a channel"
        )
    need_shape(SPEC.name, "scale", scale, (columns, -(-inner // group)), "(n, ceil(k / group))")
    if alpha < 0 or alpha & (alpha - 1):
        raise KernelError(
            f"kernel '{SPEC.name}' got alpha={alpha}; allowed: a power of two, or 0 with float scales; "
            "take both from integer_scales"
        )
    need_dtype(SPEC.name, "scale", scale, (torch.int32 if alpha else torch.float32,))
    if inner > LONGEST:
        raise KernelError(
            f"kernel '{SPEC.name}' got k={inner}; allowed: at most {LONGEST}, beyond which int32 sums can "
            "overflow; split the layer"
        )


def w4a8_linear(
    x: torch.Tensor,
    x_scale: torch.Tensor,
    codes: torch.Tensor,
    scale: torch.Tensor,
    bias: torch.Tensor | None = None,
    *,
    group: int,
    alpha: int = 0,
    residual: torch.Tensor | None = None,
    activation: str = "none",
    out_dtype: torch.dtype = torch.float32,
    preference: str = "auto",
) -> torch.Tensor:
    """Return the linear layer of int8 and int4 codes.

    Args:
        x: (..., k) int8 activation codes, any strides; no rows at all is allowed.
        x_scale: float32, x.shape[:-1] per row or () for all.
        codes: (n, ceil(k / 2)) uint8, signed nibbles as ``scales_math.pack_signed`` packs them.
        scale: (n, ceil(k / group)) float32, or int32 of ``scales_math.integer_scales``, whose proof that sums
            cannot overflow is not repeated here because it reads the values.
        bias: (n,).
        group: inputs that share a scale; k for one scale per channel.
        alpha: the power of two that multiplies integer scales, 0 with float scales.
        residual: (..., n), added before the activation.
        activation: ``none``, ``relu``, ``gelu`` (exact) or ``silu``.
        out_dtype: float32, float16 or bfloat16.
        preference: see ``automl.kernels.dispatch``.

    Returns:
        (..., n) of ``out_dtype``.

    Raises:
        KernelError: a type, shape, group or option is not allowed, k is beyond 131,071, or the ordered
            implementation cannot run.
    """
    inner, columns = x.shape[-1] if x.dim() else 0, codes.shape[0] if codes.dim() else 0
    need_dtype(SPEC.name, "x", x, (torch.int8,))
    need_dtype(SPEC.name, "codes", codes, (torch.uint8,))
    need_shape(SPEC.name, "codes", codes, (None, (inner + 1) // 2), "(n, ceil(k / 2)) bytes")
    need_dtype(SPEC.name, "x_scale", x_scale, (torch.float32,))
    if x_scale.dim():
        need_shape(SPEC.name, "x_scale", x_scale, x.shape[:-1], "one per row, or () for all")
    _need_scales(scale, columns, inner, group, alpha)
    need_epilogue(SPEC.name, (*x.shape[:-1], columns), bias, residual, activation, out_dtype)
    others = {"x_scale": x_scale, "codes": codes, "scale": scale, "bias": bias, "residual": residual}
    need_device(SPEC.name, x, others)
    arguments = {
        "x": x.reshape(-1, inner),
        "x_scale": x_scale.reshape(-1) if x_scale.dim() else x_scale,
        "codes": codes,
        "scale": scale,
        "group": group,
        "alpha": alpha,
        "bias": bias,
        "residual": None if residual is None else residual.reshape(-1, columns),
        "activation": activation,
        "out_dtype": out_dtype,
    }
    refused = {"triton": odd_group(group, scale.shape[1])}
    choice = choose(SPEC, x.device.type, preference=preference, refused=refused)
    y: torch.Tensor = _w4a8_linear(*arguments.values(), choice.implementation)
    return y.reshape(*x.shape[:-1], columns)
