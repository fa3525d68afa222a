"""The weight-only product on the CPU, in bfloat16.

A few rows go through torch's packed int4 and int8 products, which read a quarter and half of the bytes. With
more rows those are slower than float32, so the weight is widened to bfloat16 once and its bytes are not
saved: a target that counts memory must charge two bytes a weight there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from automl.kernels.checks import need_steps
from automl.kernels.weight_only.formats_math import unpack_nibbles
from automl.kernels.weight_only.reference import dequantize

if TYPE_CHECKING:
    from automl.kernels.weight_only.weight import Weight

__all__ = ["PACKED_ROWS", "PackedWeight", "pack", "packed_obstacle", "product"]

#: Up to here the packed product is the faster one.
PACKED_ROWS = 4

_INT4_GROUPS = (32, 64, 128, 256)


@dataclass(frozen=True)
class PackedWeight:
    """A weight ready for products; exactly one of ``packed`` and ``dense`` is there.

    Args:
        bits: 4 or 8.
        group: inputs that share a scale.
        packed: codes in the layout of the packed product, or None.
        steps: bfloat16 scales (and zeros) in that product's layout, or None.
        dense: (n, k) bfloat16, or None.
        bias: (n,) bfloat16, or None.
        reason: why the weight is not packed, empty when it is.
    """

    bits: int
    group: int
    packed: torch.Tensor | None
    steps: torch.Tensor | None
    dense: torch.Tensor | None
    bias: torch.Tensor | None
    reason: str

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return (m, n) bfloat16 of (m, k) bfloat16."""
        if self.packed is None or self.steps is None:
            y: torch.Tensor = torch.nn.functional.linear(x, self.dense, self.bias)  # type: ignore[arg-type]
            return y
        if self.bits == 4:
            y = torch._weight_int4pack_mm_for_cpu(x, self.packed, self.group, self.steps)
        else:
            y = torch._weight_int8pack_mm(x, self.packed, self.steps)
        return y if self.bias is None else y.add_(self.bias)


def packed_obstacle(weight: Weight, rows: int) -> str | None:
    """Return why the packed product cannot or should not serve the weight for ``rows`` rows, or None."""
    n = weight.codes.shape[0]
    if rows > PACKED_ROWS:
        return f"{rows} rows: above {PACKED_ROWS} the packed product is slower than a bfloat16 one"
    if weight.table is not None:
        return "levels from a table: torch has no such packed product"
    if n % 16 or weight.inner % 32:
        return f"n={n}, k={weight.inner}: the packed product takes multiples of 16 and 32"
    if weight.bits == 8:
        fits = weight.codes.dtype == torch.int8 and weight.scale.shape[1] == 1
        return None if fits else "int8 codes with one scale a channel are what the packed 8-bit product takes"
    if weight.group not in _INT4_GROUPS or weight.inner % weight.group:
        return f"group={weight.group}, k={weight.inner}: the packed product takes whole groups of 32 to 256"
    return None


def pack(weight: Weight, bias: torch.Tensor | None = None, *, rows: int) -> PackedWeight:
    """Return the weight in the form that is fastest for products with ``rows`` rows.

    Args:
        weight: the quantized weight.
        bias: (n,) or None.
        rows: rows of the products to come; any number is right, others are only slower.

    Raises:
        KernelError: a scale is not positive and finite.
    """
    need_steps(f"w{weight.bits}a16_linear", "scale", weight.scale)
    half = None if bias is None else bias.to(torch.bfloat16)
    reason = packed_obstacle(weight, rows)
    if reason is not None:
        dense = dequantize(weight).to(torch.bfloat16)
        return PackedWeight(weight.bits, weight.group, None, None, dense, half, reason)
    if weight.bits == 8:
        steps = weight.scale[:, 0].to(torch.bfloat16).contiguous()
        return PackedWeight(8, weight.group, weight.codes.contiguous(), steps, None, half, "")
    codes = unpack_nibbles(weight.codes, weight.inner).int().contiguous()
    scale = weight.scale.float()
    # torch computes (code - 8) * scale + offset.
    offset = torch.zeros_like(scale) if weight.zero is None else (8.0 - weight.zero.float()) * scale
    steps = torch.stack([scale, offset], dim=-1).transpose(0, 1).contiguous().to(torch.bfloat16)
    packed = torch._convert_weight_to_int4pack_for_cpu(codes, 1)
    return PackedWeight(4, weight.group, packed, steps, None, half, "")


def product(
    x: torch.Tensor,
    weight: Weight,
    bias: torch.Tensor | None,
    residual: torch.Tensor | None,
    activation: str,
) -> torch.Tensor:
    """Return (m, n) of the type of ``x``; packs on every call, so modules call ``pack`` once instead."""
    if x.shape[0] == 0:
        return torch.empty((0, weight.codes.shape[0]), dtype=x.dtype)
    y = pack(weight, rows=x.shape[0])(x.to(torch.bfloat16).contiguous()).float()
    if bias is not None:
        y += bias
    if residual is not None:
        y += residual
    if activation == "relu":
        y = y.relu_()
    elif activation == "gelu":
        y = torch.nn.functional.gelu(y)
    elif activation == "silu":
        y = torch.nn.functional.silu(y)
    return y.to(x.dtype)
