"""``w8a8_linear`` in Triton: int8 tensor-core tiles accumulated in int32, one pass over the epilogue."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from automl.kernels.builds import Build
from automl.kernels.epilogue.triton_impl import finish
from automl.kernels.epilogue.triton_impl import tile
from automl.kernels.launch import LaunchConfig
from automl.kernels.launch import LaunchTable
from automl.kernels.launch import warps_of

__all__ = ["CONFIGS", "builds", "run"]

#: Shared memory of every row stays below the 64 kB of gfx942.
CONFIGS = LaunchTable(
    decode=LaunchConfig(16, 64, 128, warps=4, stages=4),
    prefill=LaunchConfig(128, 128, 64, warps=8, stages=3),
    conv=LaunchConfig(128, 64, 64, warps=4, stages=3),
)
_GROUP = 8


@triton.jit
def _w8a8_kernel(
    x_ptr,
    w_ptr,
    y_ptr,
    x_scale_ptr,
    w_scale_ptr,
    bias_ptr,
    residual_ptr,
    rows,
    columns,
    inner,
    stride_xm,
    stride_xk,
    stride_wn,
    stride_wk,
    stride_rm,
    stride_rn,
    x_scale_stride,
    HAS_BIAS: tl.constexpr,
    HAS_RESIDUAL: tl.constexpr,
    ACTIVATION: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    GROUP: tl.constexpr,
):
    tile_m, tile_n = tile(rows, columns, BLOCK_M, BLOCK_N, GROUP)
    at_m = tile_m * BLOCK_M + tl.arange(0, BLOCK_M)
    at_n = tile_n * BLOCK_N + tl.arange(0, BLOCK_N)
    at_k = tl.arange(0, BLOCK_K)
    x_at = x_ptr + at_m.to(tl.int64)[:, None] * stride_xm + at_k.to(tl.int64)[None, :] * stride_xk
    w_at = w_ptr + at_n.to(tl.int64)[None, :] * stride_wn + at_k.to(tl.int64)[:, None] * stride_wk
    inside_m = at_m[:, None] < rows
    inside_n = at_n[None, :] < columns
    total = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.int32)
    for start in range(0, inner, BLOCK_K):
        left = inner - start
        x = tl.load(x_at, mask=inside_m & (at_k[None, :] < left), other=0)
        w = tl.load(w_at, mask=inside_n & (at_k[:, None] < left), other=0)
        total = tl.dot(x, w, total)
        x_at += BLOCK_K * stride_xk
        w_at += BLOCK_K * stride_wk
    row_scale = tl.load(x_scale_ptr + at_m.to(tl.int64) * x_scale_stride, mask=at_m < rows, other=0.0)
    column_scale = tl.load(w_scale_ptr + at_n, mask=at_n < columns, other=0.0)
    value = total.to(tl.float32) * row_scale[:, None] * column_scale[None, :]
    finish(
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
        HAS_BIAS,
        HAS_RESIDUAL,
        ACTIVATION,
    )


def run(
    x: torch.Tensor,
    x_scale: torch.Tensor,
    w: torch.Tensor,
    w_scale: torch.Tensor,
    bias: torch.Tensor | None,
    residual: torch.Tensor | None,
    activation: str,
    out_dtype: torch.dtype,
) -> torch.Tensor:
    """Return (m, n) of ``out_dtype``."""
    (rows, inner), columns = x.shape, w.shape[0]
    y = torch.empty((rows, columns), dtype=out_dtype, device=x.device)
    if y.numel() == 0:
        return y
    config = CONFIGS.pick(rows, columns)
    grid = (triton.cdiv(rows, config.block_m) * triton.cdiv(columns, config.block_n),)
    _w8a8_kernel[grid](
        x,
        w,
        y,
        x_scale,
        w_scale.contiguous(),
        y if bias is None else bias.contiguous(),
        y if residual is None else residual,
        rows,
        columns,
        inner,
        x.stride(0),
        x.stride(1),
        w.stride(0),
        w.stride(1),
        0 if residual is None else residual.stride(0),
        0 if residual is None else residual.stride(1),
        x_scale.stride(0) if x_scale.dim() else 0,
        HAS_BIAS=bias is not None,
        HAS_RESIDUAL=residual is not None,
        ACTIVATION=activation,
        BLOCK_M=config.block_m,
        BLOCK_N=config.block_n,
        BLOCK_K=config.block_k,
        GROUP=_GROUP,
        num_warps=warps_of(config.warps),
        num_stages=config.stages,
    )
    return y


def builds() -> tuple[Build, ...]:
    """Return one build per shape class: half-precision output, bias, no residual, contiguous operands."""
    return tuple(
        Build(
            config=name,
            function=_w8a8_kernel,
            types={
                "x_ptr": "*i8",
                "w_ptr": "*i8",
                "y_ptr": "*fp16",
                "x_scale_ptr": "*fp32",
                "w_scale_ptr": "*fp32",
                "bias_ptr": "*fp32",
                "residual_ptr": "*fp16",
                "rows": "i32",
                "columns": "i32",
                "inner": "i32",
                "stride_xm": "i64",
                "stride_wn": "i64",
                "stride_rm": "i64",
            },
            constants={
                "stride_xk": 1,
                "stride_wk": 1,
                "stride_rn": 1,
                "x_scale_stride": 1,
                "HAS_BIAS": True,
                "HAS_RESIDUAL": False,
                "ACTIVATION": "none",
                "BLOCK_M": config.block_m,
                "BLOCK_N": config.block_n,
                "BLOCK_K": config.block_k,
                "GROUP": _GROUP,
            },
            aligned=("x_ptr", "w_ptr", "y_ptr", "columns", "inner", "stride_xm", "stride_wn", "stride_rm"),
            warps=config.warps,
            stages=config.stages,
            tensor_core="int8",
            hot={"x": "x = tl.load(", "w": "w = tl.load("},
        )
        for name, config in CONFIGS.items()
    )
