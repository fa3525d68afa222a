"""The weight-only product on the CPU: packed codes for a few rows, bfloat16 weights beyond.

A few rows go through the compiled kernel, which takes every format, or without a compiler through torch's
packed int4 and int8 products, which take some. With more rows a dense bfloat16 product is faster than either,
so the weight is widened to bfloat16 once and its bytes are not saved: a target that counts memory must charge
two bytes a weight there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from automl.kernels.checks import need_steps
from automl.kernels.native.library import native_obstacle
from automl.kernels.weight_only.formats_math import unpack_nibbles
from automl.kernels.weight_only.native_impl import native_weight
from automl.kernels.weight_only.reference import dequantize

if TYPE_CHECKING:
    from automl.kernels.weight_only.native_impl import NativeWeight
    from automl.kernels.weight_only.weight import Weight

__all__ = ["NATIVE_ROWS", "PACKED_ROWS", "PackedWeight", "pack", "packed_obstacle", "product"]

#: Up to here torch's packed product is faster than the dense one.
PACKED_ROWS = 4

#: Up to here the compiled one is.
NATIVE_ROWS = 8

_INT4_GROUPS = (32, 64, 128, 256)


@dataclass(frozen=True)
class PackedWeight:
    """A weight ready for products; exactly one of ``packed``, ``dense`` and ``native`` is there.

    Args:
        bits: 4 or 8.
        group: inputs that share a scale.
        packed: codes in the layout of torch's packed product, or None.
        steps: bfloat16 scales (and zeros) in that product's layout, or None.
        dense: (n, k) bfloat16, or None.
        bias: (n,) bfloat16, or None.
        reason: why the weight is not packed, empty when it is.
        native: the weight and product of the compiled kernel, or None.
    """

    bits: int
    group: int
    packed: torch.Tensor | None
    steps: torch.Tensor | None
    dense: torch.Tensor | None
    bias: torch.Tensor | None
    reason: str
    native: NativeWeight | None = None

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return (m, n) of the type of ``x``, (m, k) of any float type; torch computes it in bfloat16."""
        if self.native is not None:
            return self.native(x)
        half = x.to(torch.bfloat16)
        if self.packed is None or self.steps is None:
            y: torch.Tensor = torch.nn.functional.linear(half, self.dense, self.bias)  # type: ignore[arg-type]
            return y.to(x.dtype)
        half = half.contiguous()
        if self.bits == 4:
            y = torch._weight_int4pack_mm_for_cpu(half, self.packed, self.group, self.steps)
        else:
            y = torch._weight_int8pack_mm(half, self.packed, self.steps)
        return (y if self.bias is None else y.add_(self.bias)).to(x.dtype)


def packed_obstacle(weight: Weight, rows: int) -> str | None:
    """Return why the packed product cannot or should not serve the weight for ``rows`` rows, or None."""
    if native_obstacle() is None:
        if rows <= NATIVE_ROWS:
            return None
        return f"{rows} rows: above {NATIVE_ROWS} the packed product is slower than a bfloat16 one"
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
    if (made := native_weight(weight, bias)) is not None:
        return PackedWeight(weight.bits, weight.group, None, None, None, half, "", made)
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
    y = pack(weight, rows=x.shape[0])(x.float()).float()
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
