"""``w8a16_linear``: ``activation(x @ dequantized.T + bias + residual)`` with weights of 8 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automl.kernels.spec import KernelSpec
from automl.kernels.weight_only.weight_only_linear import WeightOnlyLinear

if TYPE_CHECKING:
    import torch

__all__ = ["SPEC", "w8a16_linear"]

SPEC = KernelSpec(
    name="w8a16_linear",
    summary="float activations x 8-bit weights per group or channel, symmetric and asymmetric",
    dtypes=("float16", "bfloat16", "float32"),
    paper="",
    cpu=(
        "packed codes up to 8 rows, bfloat16 weights beyond; without a compiler _weight_int8pack_mm up to 4 "
        "rows (int8, one scale a channel)"
    ),
    native="codes of any group and zero point: integer sums by VNNI",
)


_linear = WeightOnlyLinear(SPEC, 8)


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
