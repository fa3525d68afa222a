"""A quantized weight as the weight-only products take it, and its validation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from automl.core.errors import KernelError
from automl.kernels.checks import FLOATS
from automl.kernels.checks import need_device
from automl.kernels.checks import need_dtype
from automl.kernels.checks import need_shape

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence

__all__ = ["Weight", "need_weight", "run_of"]


@dataclass(frozen=True)
class Weight:
    """Codes with one scale per output channel and group of inputs.

    Args:
        bits: 4 (two codes a byte, see ``pack_nibbles``) or 8.
        codes: (n, ceil(k * bits / 8)) uint8; at 8 bits also int8, whose middle is 0.
        scale: (n, ceil(k / group)) float.
        zero: (n, ceil(k / group)) uint8 code that stands for 0; None puts it at the middle, 8 or 128.
        table: (16,) float32 level of every 4-bit code, in place of the integers; then there is no zero.
        group: inputs that share a scale; the last group may be shorter.
        inner: k.
    """

    bits: int
    codes: torch.Tensor
    scale: torch.Tensor
    zero: torch.Tensor | None
    table: torch.Tensor | None
    group: int
    inner: int


def run_of(bits: int, product: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Return the ``run`` of an implementation: ``product`` on the tensors of a weight of ``bits`` bits.

    Args:
        bits: 4 or 8.
        product: (x, weight, bias, residual, activation) -> (m, n).
    """

    def run(
        x: torch.Tensor,
        codes: torch.Tensor,
        scale: torch.Tensor,
        zero: torch.Tensor | None,
        table: torch.Tensor | None,
        group: int,
        bias: torch.Tensor | None,
        residual: torch.Tensor | None,
        activation: str,
    ) -> torch.Tensor:
        weight = Weight(bits, codes, scale, zero, table, group, x.shape[1])
        return product(x, weight, bias, residual, activation)

    return run


def need_weight(kernel: str, x: torch.Tensor, weight: Weight) -> None:
    """Refuse a weight that does not fit the input (..., k) or itself.

    Raises:
        KernelError: a type, shape, group or combination is not allowed.
    """
    need_dtype(kernel, "x", x, FLOATS)
    wanted: Sequence[torch.dtype] = (torch.uint8,) if weight.bits == 4 else (torch.uint8, torch.int8)
    need_dtype(kernel, "codes", weight.codes, wanted)
    width = -(-weight.inner * weight.bits // 8)
    need_shape(kernel, "codes", weight.codes, (None, width), f"(n, ceil(k * {weight.bits} / 8)) bytes")
    if weight.group < 1:
        raise KernelError(
            f"kernel '{kernel}' got group={weight.group}; allowed: 1 or more; use 32, 64, 128, or k for one "
            "scale per channel"
        )
    shape = (weight.codes.shape[0], -(-weight.inner // weight.group))
    need_dtype(kernel, "scale", weight.scale, FLOATS)
    need_shape(kernel, "scale", weight.scale, shape, "(n, ceil(k / group))")
    if weight.zero is not None:
        need_dtype(kernel, "zero", weight.zero, (torch.uint8,))
        need_shape(kernel, "zero", weight.zero, shape, "(n, ceil(k / group))")
    if weight.table is not None:
        need_dtype(kernel, "table", weight.table, (torch.float32,))
        need_shape(kernel, "table", weight.table, (2**weight.bits,), "one level a code")
    if weight.table is not None and weight.bits != 4:
        raise KernelError(
            f"kernel '{kernel}' got a table for {weight.bits}-bit codes; allowed: a table of 16 levels; "
            "use w4a16_linear, or integers"
        )
    if weight.zero is not None and (weight.table is not None or weight.codes.dtype == torch.int8):
        what = "a table" if weight.table is not None else "int8 codes"
        raise KernelError(
            f"kernel '{kernel}' got a zero together with {what}; allowed: a zero with uint8 codes alone; "
            "drop one of them"
        )
    others = {"codes": weight.codes, "scale": weight.scale, "zero": weight.zero, "table": weight.table}
    need_device(kernel, x, others)
