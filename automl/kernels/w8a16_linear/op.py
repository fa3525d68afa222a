"""``w8a16_linear``: ``activation(x @ dequantized.T + bias + residual)`` with weights of 8 bits."""

from __future__ import annotations

import torch

from automl.kernels import table as kernels
from automl.kernels.checks import need_device
from automl.kernels.checks import need_epilogue
from automl.kernels.dispatch import choose
from automl.kernels.spec import KernelSpec
from automl.kernels.weight_only.weight import Weight
from automl.kernels.weight_only.weight import need_weight

__all__ = ["SPEC", "w8a16_linear"]

SPEC = KernelSpec(
    name="w8a16_linear",
    summary="float activations x 8-bit weights per group or channel, symmetric and asymmetric",
    dtypes=("float16", "bfloat16", "float32"),
    paper="",
    cpu="_weight_int8pack_mm up to 4 rows (int8, one scale a channel), bfloat16 weights beyond",
)


@torch.library.custom_op("automl::w8a16_linear", mutates_args=())
def _w8a16_linear(
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


@_w8a16_linear.register_fake
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


def w8a16_linear(
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
    """Return the linear layer of 8-bit weights.

    Args:
        x: (..., k) float32, float16 or bfloat16, any strides; no rows at all is allowed.
        codes: (n, k) uint8, or int8 whose middle is 0.
        scale: (n, ceil(k / group)) float.
        bias: (n,).
        group: inputs that share a scale; the last group may be shorter.
        zero: (n, ceil(k / group)) uint8 code of the number 0; the middle of the range when None.
        table: None; only 4-bit codes have levels from a table.
        residual: (..., n), added before the activation.
        activation: ``none``, ``relu``, ``gelu`` (exact) or ``silu``.
        preference: see ``automl.kernels.dispatch``.

    Returns:
        (..., n) of the type of ``x``.

    Raises:
        KernelError: a type, shape, group or option is not allowed, or the ordered implementation cannot run.
    """
    inner = x.shape[-1] if x.dim() else 0
    need_weight(SPEC.name, x, Weight(8, codes, scale, zero, table, group, inner))
    columns = codes.shape[0]
    need_epilogue(SPEC.name, (*x.shape[:-1], columns), bias, residual, activation, x.dtype)
    need_device(SPEC.name, x, {"bias": bias, "residual": residual})
    choice = choose(SPEC, x.device.type, preference=preference)
    y: torch.Tensor = _w8a16_linear(
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
