"""``w4a16_linear``: ``activation(x @ dequantized.T + bias + residual)`` with weights of 4 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automl.kernels.spec import KernelSpec
from automl.kernels.weight_only.weight_only_linear import WeightOnlyLinear

if TYPE_CHECKING:
    import torch

__all__ = ["SPEC", "w4a16_linear"]

SPEC = KernelSpec(
    name="w4a16_linear",
    summary="float activations x 4-bit weights per group: symmetric, asymmetric, NF4 and FP4 tables",
    dtypes=("float16", "bfloat16", "float32"),
    paper="QLoRA (NF4), arXiv 2305.14314",
    cpu=(
        "packed codes up to 8 rows, bfloat16 weights beyond; without a compiler _weight_int4pack_mm_for_cpu "
        "up to 4 rows (32 to 256 a group, no table)"
    ),
    native="packed codes of any group, zero point and table: integer sums by VNNI, float32 for tables",
)


_linear = WeightOnlyLinear(SPEC, 4)


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
    return _linear(
        x,
        codes,
        scale,
        bias,
        group=group,
        zero=zero,
        table=table,
        residual=residual,
        activation=activation,
        preference=preference,
    )
