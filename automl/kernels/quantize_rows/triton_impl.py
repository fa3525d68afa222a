"""``quantize_rows`` in Triton: a program per row, the row read once."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from automl.kernels.builds import Build
from automl.kernels.launch import warps_of
from automl.kernels.quantize_rows.reference import LEVELS

__all__ = ["builds", "run"]

#: Longest row that one program holds in registers; longer ones are read twice.
_LONGEST = 8192


@triton.jit
def _round_even(v):
    # Adding 1.5 * 2^23 leaves no fraction bits: the addition itself rounds half to even for |v| < 2^22.
    return (v + 12582912.0) - 12582912.0


@triton.jit
def _encode_e4m3(v):
    """Return the e4m3 byte of ``v``, |v| <= 448, rounded half to even; no hardware does before sm_89."""
    bits = v.to(tl.int32, bitcast=True)
    size = bits & 0x7FFFFFFF
    rounded = (size + 0x7FFFF + ((size >> 20) & 1)) >> 20
    normal = rounded - ((127 - 7) << 3)
    # Below 2^-6 the step is 2^-9 and the code is the multiple itself; 8 is the smallest normal number.
    subnormal = _round_even(tl.abs(v) * 512.0).to(tl.int32)
    code = tl.where(tl.abs(v) < 0.015625, subnormal, normal)
    return (code | ((bits >> 24) & 0x80)).to(tl.uint8)


@triton.jit
def _encode(v, zero, FP8: tl.constexpr):
    v = tl.where(v == v, v, 0.0)
    # Both ways must not return from here: the compiler wants one type of all returns.
    if FP8:
        code = _encode_e4m3(tl.minimum(tl.maximum(v, -448.0), 448.0))
    else:
        # Whole limits, so that rounding after them cannot leave the range.
        inside = tl.minimum(tl.maximum(v, -128.0 - zero), 127.0 - zero)
        code = (_round_even(inside) + zero).to(tl.int8)
    return code


@triton.jit
def _size(values):
    """Return max |values|, infinite when one is NaN or infinite: a plain maximum drops NaN."""
    size = tl.abs(values)
    return tl.max(tl.where(size == size, size, float("inf")), axis=0)


@triton.jit
def _rows_kernel(
    x_ptr,
    codes_ptr,
    scale_ptr,
    columns,
    stride_row,
    stride_column,
    scale_stride,
    zero,
    LEVEL: tl.constexpr,
    FP8: tl.constexpr,
    STATIC: tl.constexpr,
    SIZE_ONLY: tl.constexpr,
    ONE_READ: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    lane = tl.arange(0, BLOCK)
    source = x_ptr + row * stride_row
    target = codes_ptr + row * columns
    if ONE_READ:
        held = tl.load(source + lane.to(tl.int64) * stride_column, mask=lane < columns, other=0.0).to(
            tl.float32
        )
    if STATIC:
        step = tl.load(scale_ptr + row * scale_stride)
    else:
        if ONE_READ:
            size = _size(held)
        else:
            size = 0.0
            for start in range(0, columns, BLOCK):
                at = start + lane
                part = tl.load(source + at.to(tl.int64) * stride_column, mask=at < columns, other=0.0)
                size = tl.maximum(size, _size(part.to(tl.float32)))
        step = tl.maximum(tl.div_rn(size, LEVEL), 1.1754943508222875e-38)
        step = tl.where(size < float("inf"), step, float("nan"))
        tl.store(scale_ptr + row * scale_stride, step)
    if not SIZE_ONLY:
        if ONE_READ:
            tl.store(target + lane, _encode(tl.div_rn(held, step), zero, FP8), mask=lane < columns)
        else:
            for start in range(0, columns, BLOCK):
                at = start + lane
                part = tl.load(source + at.to(tl.int64) * stride_column, mask=at < columns, other=0.0)
                codes = _encode(tl.div_rn(part.to(tl.float32), step), zero, FP8)
                tl.store(target + at, codes, mask=at < columns)


def _launch(
    x: torch.Tensor,
    codes: torch.Tensor,
    scale: torch.Tensor,
    fmt: str,
    *,
    static: bool,
    size_only: bool,
    zero: int = 0,
) -> None:
    rows, columns = x.shape
    if rows == 0:
        return
    block = min(triton.next_power_of_2(max(columns, 1)), _LONGEST)
    _rows_kernel[(rows,)](
        x,
        codes,
        scale,
        columns,
        x.stride(0),
        x.stride(1),
        1 if scale.dim() else 0,
        zero,
        LEVEL=LEVELS[fmt],
        FP8=fmt == "fp8_e4m3",
        STATIC=static,
        SIZE_ONLY=size_only,
        ONE_READ=columns <= block,
        BLOCK=block,
        num_warps=warps_of(4 if block <= 2048 else 8),
    )


def run(
    x: torch.Tensor, fmt: str, granularity: str, scale: torch.Tensor | None, zero: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what the reference returns."""
    flat = x if x.dim() == 2 else x.reshape(-1, x.shape[-1])
    codes = torch.empty(flat.shape, dtype=torch.uint8 if fmt == "fp8_e4m3" else torch.int8, device=x.device)
    if scale is not None:
        step = scale.float().clone()
        steps = step if step.dim() == 0 else step.reshape(-1)
        _launch(flat, codes, steps, fmt, static=True, size_only=False, zero=zero)
    else:
        per_row = torch.empty(flat.shape[0], dtype=torch.float32, device=x.device)
        _launch(flat, codes, per_row, fmt, static=False, size_only=granularity == "tensor")
        step = per_row.reshape(x.shape[:-1])
        if granularity == "tensor":
            # amax keeps NaN, so one bad row marks the whole tensor.
            step = per_row.amax()
            _launch(flat, codes, step, fmt, static=True, size_only=False)
    if fmt == "fp8_e4m3":
        codes = codes.view(torch.float8_e4m3fn)
    return codes.reshape(x.shape), step


def builds() -> tuple[Build, ...]:
    """Return one build per format: a row of 768 to 1,024 half-precision numbers, and the long-row form."""
    found = []
    for fmt, code in (("int8", "*i8"), ("fp8_e4m3", "*u8")):
        for name, block, one_read in (("row", 1024, True), ("long", _LONGEST, False)):
            found.append(
                Build(
                    config=f"{name}-{fmt}",
                    function=_rows_kernel,
                    types={
                        "x_ptr": "*fp16",
                        "codes_ptr": code,
                        "scale_ptr": "*fp32",
                        "columns": "i32",
                        "stride_row": "i64",
                        "scale_stride": "i32",
                        "zero": "i32",
                    },
                    constants={
                        "stride_column": 1,
                        "LEVEL": LEVELS[fmt],
                        "FP8": fmt == "fp8_e4m3",
                        "STATIC": False,
                        "SIZE_ONLY": False,
                        "ONE_READ": one_read,
                        "BLOCK": block,
                    },
                    aligned=("x_ptr", "codes_ptr", "scale_ptr", "columns", "stride_row"),
                    warps=4 if block <= 2048 else 8,
                    hot={"x": "held = tl.load(" if one_read else "part = tl.load("},
                )
            )
    return tuple(found)
