"""The fused epilogue and the order of tiles, for Triton kernels."""

from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["activate", "finish", "tile"]


@triton.jit
def tile(rows, columns, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, GROUP: tl.constexpr):
    """Return the (row, column) tile of this program; GROUP row tiles share a cached weight tile."""
    program = tl.program_id(0)
    row_tiles = tl.cdiv(rows, BLOCK_M)
    column_tiles = tl.cdiv(columns, BLOCK_N)
    span = GROUP * column_tiles
    first = (program // span) * GROUP
    height = tl.minimum(row_tiles - first, GROUP)
    return first + (program % span) % height, (program % span) // height


@triton.jit
def activate(value, ACTIVATION: tl.constexpr):
    """Return the activation of float32 values."""
    if ACTIVATION == "relu":
        return tl.maximum(value, 0.0, propagate_nan=tl.PropagateNan.ALL)
    if ACTIVATION == "gelu":
        return 0.5 * value * (1.0 + tl.erf(value * 0.7071067811865476))
    if ACTIVATION == "silu":
        # The exponential of a negative number never overflows.
        small = tl.exp(-tl.abs(value))
        return value * tl.where(value >= 0.0, 1.0, small) / (1.0 + small)
    return value


@triton.jit
def finish(
    value,
    y_ptr,
    bias_ptr,
    residual_ptr,
    at_m,
    at_n,
    rows,
    columns,
    stride_rm,
    stride_rn,
    HAS_BIAS: tl.constexpr,
    HAS_RESIDUAL: tl.constexpr,
    ACTIVATION: tl.constexpr,
):
    """Store ``activation(value + bias + residual)`` of a float32 tile; the output is contiguous."""
    inside = (at_m[:, None] < rows) & (at_n[None, :] < columns)
    wide_m = at_m.to(tl.int64)[:, None]
    wide_n = at_n.to(tl.int64)[None, :]
    if HAS_BIAS:
        value += tl.load(bias_ptr + at_n, mask=at_n < columns, other=0.0).to(tl.float32)[None, :]
    if HAS_RESIDUAL:
        at = residual_ptr + wide_m * stride_rm + wide_n * stride_rn
        value += tl.load(at, mask=inside, other=0.0).to(tl.float32)
    value = activate(value, ACTIVATION)
    tl.store(y_ptr + wide_m * columns + wide_n, value.to(y_ptr.dtype.element_ty), mask=inside)
