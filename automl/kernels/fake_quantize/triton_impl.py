"""``fake_quantize`` in Triton: a program a tile, each element read once and written once."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from automl.kernels.builds import Build
from automl.kernels.fake_quantize.layout_math import Layout
from automl.kernels.fake_quantize.layout_math import layout_of
from automl.kernels.launch import warps_of

__all__ = ["builds", "run", "run_backward"]

#: Elements of one program: 16-byte loads of half-precision numbers for 256 threads, four wavefronts of AMD.
_TILE = 2048

_MODES = {"one": 0, "row": 1, "column": 2, "group": 3}


@triton.jit
def _round_even(v):
    # Adding 1.5 * 2^23 leaves no fraction bits: the addition itself rounds half to even for |v| < 2^22.
    return (v + 12582912.0) - 12582912.0


@triton.jit
def _rounded(value, BF16: tl.constexpr):
    """Return float32 values that bfloat16 holds exactly: some conversions truncate."""
    if BF16:
        bits = value.to(tl.int32, bitcast=True)
        near = (bits + 0x7FFF + ((bits >> 16) & 1)) & -65536
        return tl.where(value == value, near.to(tl.float32, bitcast=True), value)
    return value


@triton.jit
def _qdq_kernel(
    x_ptr,
    grad_ptr,
    y_ptr,
    scale_ptr,
    zero_ptr,
    rows,
    columns,
    stride_row,
    stride_column,
    grad_stride_row,
    grad_stride_column,
    period,
    group,
    low,
    high,
    MODE: tl.constexpr,
    ZERO: tl.constexpr,
    BACKWARD: tl.constexpr,
    BLOCK_R: tl.constexpr,
    BLOCK_C: tl.constexpr,
):
    across = tl.cdiv(columns, BLOCK_C)
    row = ((tl.program_id(0) // across) * BLOCK_R + tl.arange(0, BLOCK_R)).to(tl.int64)
    column = ((tl.program_id(0) % across) * BLOCK_C + tl.arange(0, BLOCK_C)).to(tl.int64)
    inside = (row < rows)[:, None] & (column < columns)[None, :]
    x = tl.load(x_ptr + row[:, None] * stride_row + column[None, :] * stride_column, mask=inside, other=0.0)
    if MODE == 0:
        index = tl.zeros((1, 1), tl.int64)
        held = index == 0
    elif MODE == 1:
        index = (row % period)[:, None]
        held = (row < rows)[:, None]
    elif MODE == 2:
        index = column[None, :]
        held = (column < columns)[None, :]
    else:
        index = (row * period)[:, None] + (column // group)[None, :]
        held = inside
    step = tl.load(scale_ptr + index, mask=held, other=1.0)
    # Codes less their zero point; integer bounds commute with rounding, so clipping may come first.
    first = low
    last = high
    if ZERO:
        zero = tl.load(zero_ptr + index, mask=held, other=0).to(tl.float32)
        first = low - zero
        last = high - zero
    wide = x.to(tl.float32)
    quotient = tl.div_rn(wide, step)
    target = y_ptr + row[:, None] * columns + column[None, :]
    if BACKWARD:
        code = _round_even(tl.minimum(tl.maximum(quotient, first - 1.0), last + 1.0))
        grad = tl.load(
            grad_ptr + row[:, None] * grad_stride_row + column[None, :] * grad_stride_column,
            mask=inside,
            other=0.0,
        )
        kept = (code >= first) & (code <= last) & (quotient == quotient)
        tl.store(target, tl.where(kept, grad, 0.0).to(y_ptr.dtype.element_ty), mask=inside)
    else:
        code = _round_even(tl.minimum(tl.maximum(quotient, first), last))
        value = tl.where(quotient == quotient, code * step, quotient)
        value = _rounded(value, y_ptr.dtype.element_ty == tl.bfloat16)
        tl.store(target, value.to(y_ptr.dtype.element_ty), mask=inside)


def _tile(columns: int) -> tuple[int, int]:
    """Return rows and columns of one program's tile."""
    wide = min(triton.next_power_of_2(max(columns, 1)), _TILE)
    return _TILE // wide, wide


def _launch(
    x: torch.Tensor,
    grad: torch.Tensor | None,
    scale: torch.Tensor,
    zero: torch.Tensor | None,
    layout: Layout,
    low: int,
    high: int,
) -> torch.Tensor:
    matrix = x.reshape(layout.rows, layout.columns)
    y = torch.empty(matrix.shape, dtype=x.dtype, device=x.device)
    if x.numel() == 0:
        return y.reshape(x.shape)
    block_r, block_c = _tile(layout.columns)
    slope = matrix if grad is None else grad.reshape(layout.rows, layout.columns)
    programs = triton.cdiv(layout.rows, block_r) * triton.cdiv(layout.columns, block_c)
    _qdq_kernel[(programs,)](
        matrix,
        slope,
        y,
        scale.contiguous(),
        scale if zero is None else zero.contiguous(),
        layout.rows,
        layout.columns,
        matrix.stride(0),
        matrix.stride(1),
        slope.stride(0),
        slope.stride(1),
        layout.period,
        layout.group,
        float(low),
        float(high),
        MODE=_MODES[layout.mode],
        ZERO=zero is not None,
        BACKWARD=grad is not None,
        BLOCK_R=block_r,
        BLOCK_C=block_c,
        num_warps=warps_of(4),
    )
    return y.reshape(x.shape)


def run(
    x: torch.Tensor,
    scale: torch.Tensor,
    zero: torch.Tensor | None,
    granularity: str,
    axis: int,
    group: int,
    low: int,
    high: int,
) -> torch.Tensor:
    """Return what the reference returns."""
    return _launch(x, None, scale, zero, layout_of(x.shape, granularity, axis, group), low, high)


def run_backward(
    grad: torch.Tensor,
    x: torch.Tensor,
    scale: torch.Tensor,
    zero: torch.Tensor | None,
    granularity: str,
    axis: int,
    group: int,
    low: int,
    high: int,
) -> torch.Tensor:
    """Return what the reference returns."""
    return _launch(x, grad, scale, zero, layout_of(x.shape, granularity, axis, group), low, high)


def _build(config: str, mode: str, *, zero: bool, backward: bool) -> Build:
    block_r, block_c = _tile(4096 if mode != "row" else 196)
    fixed = {"stride_column": 1, "grad_stride_column": 1}
    return Build(
        config=config,
        function=_qdq_kernel,
        types={
            "x_ptr": "*fp16",
            "grad_ptr": "*fp16",
            "y_ptr": "*fp16",
            "scale_ptr": "*fp32",
            "zero_ptr": "*i32",
            "rows": "i32",
            "columns": "i32",
            "stride_row": "i64",
            "grad_stride_row": "i64",
            "period": "i32",
            "group": "i32",
            "low": "fp32",
            "high": "fp32",
        },
        constants={
            **fixed,
            "MODE": _MODES[mode],
            "ZERO": zero,
            "BACKWARD": backward,
            "BLOCK_R": block_r,
            "BLOCK_C": block_c,
        },
        aligned=(
            "x_ptr",
            "grad_ptr",
            "y_ptr",
            "scale_ptr",
            "zero_ptr",
            "columns",
            "stride_row",
            "grad_stride_row",
        ),
        hot={"x": "x = tl.load(", **({"grad": "grad = tl.load("} if backward else {})},
        narrow={"scale": "a column's group is a quotient, so each looks its step up"}
        if mode == "group"
        else {},
    )


def builds() -> tuple[Build, ...]:
    """Return one build per granularity with zero points, and the backward pass per channel."""
    names = {"one": "tensor", "row": "channel-first", "column": "channel-last", "group": "group"}
    forward = [_build(name, mode, zero=True, backward=False) for mode, name in names.items()]
    return (*forward, _build("backward-channel-last", "column", zero=True, backward=True))
