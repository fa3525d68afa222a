"""``nm_linear`` in Triton: half the values are read and spread into a dense tile in registers.

Sparse tensor-core instructions are out of Triton's reach, so the arithmetic is that of the dense product;
what is saved is 7 of 16 bytes of a half-precision weight, 3 of 8 of an int8 one.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from automl.kernels.builds import Build
from automl.kernels.compilation.triton_impl import interpreting
from automl.kernels.epilogue.triton_impl import finish
from automl.kernels.epilogue.triton_impl import tile
from automl.kernels.launch import LaunchConfig
from automl.kernels.launch import LaunchTable
from automl.kernels.launch import warps_of

__all__ = ["CONFIGS", "builds", "run"]

#: ``block_k`` counts dense columns.
CONFIGS = LaunchTable(
    decode=LaunchConfig(16, 64, 128, warps=4, stages=3),
    prefill=LaunchConfig(64, 64, 64, warps=4, stages=3),
    conv=LaunchConfig(64, 64, 64, warps=4, stages=3),
)
_GROUP = 8


@triton.jit
def _nm_kernel(
    x_ptr,
    values_ptr,
    mask_ptr,
    y_ptr,
    x_scale_ptr,
    w_scale_ptr,
    bias_ptr,
    rows,
    columns,
    inner,
    groups,
    stride_xm,
    stride_xk,
    x_scale_stride,
    X_SCALE: tl.constexpr,
    W_SCALE: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    SUMS: tl.constexpr,
    WIDE: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    GROUP: tl.constexpr,
):
    tile_m, tile_n = tile(rows, columns, BLOCK_M, BLOCK_N, GROUP)
    PARTS: tl.constexpr = BLOCK_K // 8
    INTEGER: tl.constexpr = x_ptr.dtype.element_ty == tl.int8
    at_m = tile_m * BLOCK_M + tl.arange(0, BLOCK_M)
    at_n = tile_n * BLOCK_N + tl.arange(0, BLOCK_N)
    at_k = tl.arange(0, BLOCK_K)
    at_g = tl.arange(0, PARTS)
    at_v = tl.arange(0, PARTS * 4)
    wide_n = at_n.to(tl.int64)[:, None]
    inside_n = (at_n < columns)[:, None]
    x_at = x_ptr + at_m.to(tl.int64)[:, None] * stride_xm + at_k.to(tl.int64)[None, :] * stride_xk
    total = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.int32 if INTEGER else tl.float32)
    for start in range(0, groups, PARTS):
        value_at = values_ptr + wide_n * (groups * 4) + (start * 4 + at_v)[None, :]
        stored = tl.load(value_at, mask=inside_n & (start * 4 + at_v < groups * 4)[None, :], other=0)
        mask_at = mask_ptr + wide_n * groups + (start + at_g)[None, :]
        bits = tl.load(mask_at, mask=inside_n & (start + at_g < groups)[None, :], other=0).to(tl.int32)
        evens, odds = tl.split(tl.reshape(stored, (BLOCK_N, PARTS, 2, 2)))
        v0, v2 = tl.split(evens)
        v1, v3 = tl.split(odds)
        dense = ()
        rank = bits * 0
        for j in tl.static_range(8):
            bit = (bits >> j) & 1
            late = tl.where(rank == 2, v2, v3)
            early = tl.where(rank == 0, v0, v1)
            picked = tl.where(rank < 2, early, late)
            kept = (tl.where(bit == 1, picked, tl.zeros_like(picked)),)
            dense = dense + kept  # type: ignore[assignment]
            rank += bit
        # The last join is the fastest axis: bit 0 of the column.
        d0, d1, d2, d3, d4, d5, d6, d7 = dense  # type: ignore[misc]
        even = tl.join(tl.join(d0, d4), tl.join(d2, d6))
        odd = tl.join(tl.join(d1, d5), tl.join(d3, d7))
        w = tl.reshape(tl.join(even, odd), (BLOCK_N, BLOCK_K))
        left = inner - start * 8
        x = tl.load(x_at, mask=(at_m < rows)[:, None] & (at_k < left)[None, :], other=0)
        if WIDE:
            x = x.to(tl.float32)
            w = w.to(tl.float32)
        total = tl.dot(x, tl.trans(w), total)
        x_at += BLOCK_K * stride_xk
    if SUMS:
        inside = (at_m < rows)[:, None] & (at_n < columns)[None, :]
        tl.store(y_ptr + at_m.to(tl.int64)[:, None] * columns + at_n[None, :], total, mask=inside)
    else:
        value = total.to(tl.float32)
        if X_SCALE:
            scale = tl.load(x_scale_ptr + at_m.to(tl.int64) * x_scale_stride, mask=at_m < rows, other=0.0)
            value *= scale[:, None]
        if W_SCALE:
            value *= tl.load(w_scale_ptr + at_n, mask=at_n < columns, other=0.0)[None, :]
        finish(value, y_ptr, bias_ptr, bias_ptr, at_m, at_n, rows, columns, 0, 0, HAS_BIAS, False, "none")


def run(
    x: torch.Tensor,
    values: torch.Tensor,
    mask: torch.Tensor,
    x_scale: torch.Tensor | None,
    w_scale: torch.Tensor | None,
    bias: torch.Tensor | None,
    out_dtype: torch.dtype,
) -> torch.Tensor:
    """Return (m, n) of ``out_dtype``."""
    (rows, inner), (columns, groups) = x.shape, mask.shape
    y = torch.empty((rows, columns), dtype=out_dtype, device=x.device)
    if y.numel() == 0:
        return y
    config = CONFIGS.pick(rows, columns)
    grid = (triton.cdiv(rows, config.block_m) * triton.cdiv(columns, config.block_n),)
    _nm_kernel[grid](
        x,
        values.contiguous(),
        mask.contiguous(),
        y,
        y if x_scale is None else x_scale,
        y if w_scale is None else w_scale.contiguous(),
        y if bias is None else bias.contiguous(),
        rows,
        columns,
        inner,
        groups,
        x.stride(0),
        x.stride(1),
        x_scale.stride(0) if x_scale is not None and x_scale.dim() else 0,
        X_SCALE=x_scale is not None,
        W_SCALE=w_scale is not None,
        HAS_BIAS=bias is not None,
        SUMS=out_dtype == torch.int32,
        # The interpreter has no bfloat16 product; the product of two bfloat16 numbers is exact in float32.
        WIDE=x.dtype == torch.bfloat16 and interpreting(),
        BLOCK_M=config.block_m,
        BLOCK_N=config.block_n,
        BLOCK_K=config.block_k,
        GROUP=_GROUP,
        num_warps=warps_of(config.warps),
        num_stages=config.stages,
    )
    return y


def _build(name: str, config: LaunchConfig, value: str) -> Build:
    integer = value == "int8"
    pointer = "*i8" if integer else "*fp16"
    return Build(
        config=f"{name}-{value}",
        function=_nm_kernel,
        types={
            "x_ptr": pointer,
            "values_ptr": pointer,
            "mask_ptr": "*u8",
            "y_ptr": "*fp16",
            "x_scale_ptr": "*fp32",
            "w_scale_ptr": "*fp32",
            "bias_ptr": "*fp32",
            "rows": "i32",
            "columns": "i32",
            "inner": "i32",
            "groups": "i32",
            "stride_xm": "i64",
        },
        constants={
            "stride_xk": 1,
            "x_scale_stride": 1,
            "X_SCALE": integer,
            "W_SCALE": integer,
            "HAS_BIAS": True,
            "SUMS": False,
            "WIDE": False,
            "BLOCK_M": config.block_m,
            "BLOCK_N": config.block_n,
            "BLOCK_K": config.block_k,
            "GROUP": _GROUP,
        },
        aligned=("x_ptr", "values_ptr", "mask_ptr", "y_ptr", "columns", "inner", "groups", "stride_xm"),
        warps=config.warps,
        stages=config.stages,
        tensor_core="int8" if integer else "fp16",
        hot={"x": "x = tl.load(", "values": "stored = tl.load("},
        narrow={"mask": "a byte holds eight columns, so a step of the tile has too few for the threads"},
    )


def builds() -> tuple[Build, ...]:
    """Return one build per shape class and type of values."""
    return tuple(
        _build(name, config, value) for name, config in CONFIGS.items() for value in ("fp16", "int8")
    )
