"""``w4a16_linear``: ``activation(x @ dequantized.T + bias + residual)`` with weights of 4 bits."""

from __future__ import annotations

import torch

from automl.kernels import table as kernels
from automl.kernels.checks import need_device
from automl.kernels.checks import need_epilogue
from automl.kernels.dispatch import choose
from automl.kernels.spec import KernelSpec
from automl.kernels.weight_only.weight import Weight
from automl.kernels.weight_only.weight import need_weight

__all__ = ["SPEC", "w4a16_linear"]

SPEC = KernelSpec(
    name="w4a16_linear",
    summary="float activations x 4-bit weights per group: symmetric, asymmetric, NF4 and FP4 tables",
    dtypes=("float16", "bfloat16", "float32"),
    paper="QLoRA (NF4), arXiv 2305.14314",
    cpu="_weight_int4pack_mm_for_cpu up to 4 rows (32 to 256 a group, no table), bfloat16 weights beyond",
)


@torch.library.custom_op("automl::w4a16_linear", mutates_args=())
def _w4a16_linear(
    x: torch.Tensor,
    codes: torch.Tensor,
    scale: torch.Tensor,
    zero: torch.Tensor | None,
    table: torch.Tensor | None,
    group: int,
    bias: torch.Tensor | None,
    residual: torch.Tensor | None,
    activation: str,
    implementation: str,
) -> torch.Tensor:
    run = kernels.implementation(SPEC.name, implementation)
    y: torch.Tensor = run(x, codes, scale, zero, table, group, bias, residual, activation)
    return y.to(x.dtype)


@_w4a16_linear.register_fake
def _fake(
    x: torch.Tensor,
    codes: torch.Tensor,
    scale: torch.Tensor,
    zero: torch.Tensor | None,
    table: torch.Tensor | None,
    group: int,
    bias: torch.Tensor | None,
    residual: torch.Tensor | None,
    activation: str,
    implementation: str,
) -> torch.Tensor:
    return x.new_empty((x.shape[0], codes.shape[0]))


def w4a16_linear(
    x: torch.Tensor,
    codes: torch.Tensor,
    scale: torch.Tensor,
    bias: torch.Tensor | None = None,
    *,
    group: int,
    zero: torch.Tensor | None = None,
    table: torch.Tensor | None = None,
    residual: torch.Tensor | None = None,
    activation: str = "none",
    preference: str = "auto",
) -> torch.Tensor:
    """Return the linear layer of 4-bit weights.

    Args:
        x: (..., k) float32, float16 or bfloat16, any strides; no rows at all is allowed.
        codes: (n, ceil(k / 2)) uint8, two codes a byte, the even one low.
        scale: (n, ceil(k / group)) float.
        bias: (n,).
        group: inputs that share a scale; the last group may be shorter.
        zero: (n, ceil(k / group)) uint8 code of the number 0; the middle of the range when None.
        table: (16,) float32 level of every code, in place of the integers.
        residual: (..., n), added before the activation.
        activation: ``none``, ``relu``, ``gelu`` (exact) or ``silu``.
        preference: see ``automl.kernels.dispatch``.

    Returns:
        (..., n) of the type of ``x``.

    Raises:
        KernelError: a type, shape, group or option is not allowed, or the ordered implementation cannot run.
    """
    inner = x.shape[-1] if x.dim() else 0
    need_weight(SPEC.name, x, Weight(4, codes, scale, zero, table, group, inner))
    columns = codes.shape[0]
    need_epilogue(SPEC.name, (*x.shape[:-1], columns), bias, residual, activation, x.dtype)
    need_device(SPEC.name, x, {"bias": bias, "residual": residual})
    choice = choose(SPEC, x.device.type, preference=preference)
    y: torch.Tensor = _w4a16_linear(
        x.reshape(-1, inner),
        codes,
        scale,
        zero,
        table,
        group,
        bias,
        None if residual is None else residual.reshape(-1, columns),
        activation,
        choice.implementation,
    )
    return y.reshape(*x.shape[:-1], columns)
