"""``block_sparse_linear`` in Triton: a program per row of blocks walks its list, several blocks a step."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from automl.kernels.builds import Build
from automl.kernels.compilation.triton_impl import interpreting
from automl.kernels.epilogue.triton_impl import finish
from automl.kernels.launch import LaunchConfig
from automl.kernels.launch import LaunchTable
from automl.kernels.launch import warps_of

__all__ = ["CONFIGS", "ROW_CONFIG", "builds", "run"]

#: ``block_n`` is the height of the blocks; ``block_k`` counts the stored columns of one step.
CONFIGS = {
    16: LaunchTable(
        decode=LaunchConfig(16, 16, 128, warps=2, stages=3),
        prefill=LaunchConfig(128, 16, 64, warps=4, stages=3),
        conv=LaunchConfig(128, 16, 64, warps=4, stages=3),
    ),
    32: LaunchTable(
        decode=LaunchConfig(16, 32, 128, warps=4, stages=3),
        prefill=LaunchConfig(128, 32, 64, warps=4, stages=3),
        conv=LaunchConfig(128, 32, 64, warps=4, stages=3),
    ),
    64: LaunchTable(
        decode=LaunchConfig(16, 64, 128, warps=4, stages=3),
        prefill=LaunchConfig(128, 64, 64, warps=8, stages=3),
        conv=LaunchConfig(128, 64, 64, warps=8, stages=3),
    ),
}

#: Blocks of one output channel: no tensor core, a step of 512 stored columns.
ROW_CONFIG = LaunchConfig(4, 1, 512, warps=2, stages=2)


@triton.jit
def _tile_kernel(
    x_ptr,
    blocks_ptr,
    starts_ptr,
    columns_ptr,
    y_ptr,
    bias_ptr,
    rows,
    outputs,
    inner,
    block_rows,
    stride_xm,
    stride_xk,
    HAS_BIAS: tl.constexpr,
    WIDE: tl.constexpr,
    WIDTH: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    block_row = tl.program_id(0) % block_rows
    at_m = (tl.program_id(0) // block_rows) * BLOCK_M + tl.arange(0, BLOCK_M)
    at_n = tl.arange(0, BLOCK_N)
    at_k = tl.arange(0, BLOCK_K)
    first = tl.load(starts_ptr + block_row)
    last = tl.load(starts_ptr + block_row + 1)
    x_row = x_ptr + at_m.to(tl.int64)[:, None] * stride_xm
    # The blocks of a row follow each other, so their stored columns do.
    w_at = blocks_ptr + first.to(tl.int64) * (WIDTH * BLOCK_N) + at_k[:, None] * BLOCK_N + at_n[None, :]
    total = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
    for block in range(first, last, BLOCK_K // WIDTH):
        which = block + at_k // WIDTH
        held = which < last
        column = tl.load(columns_ptr + which, mask=held, other=0).to(tl.int64) * WIDTH + at_k % WIDTH
        column = tl.max_contiguous(tl.multiple_of(column, WIDTH), WIDTH)
        x = tl.load(
            x_row + column[None, :] * stride_xk,
            mask=(at_m < rows)[:, None] & (held & (column < inner))[None, :],
            other=0.0,
        )
        w = tl.load(w_at, mask=held[:, None], other=0.0)
        w_at += BLOCK_K * BLOCK_N
        if WIDE:
            total = tl.dot(x.to(tl.float32), w.to(tl.float32), total, input_precision="ieee")
        else:
            total = tl.dot(x, w, total)
    finish(
        total,
        y_ptr,
        bias_ptr,
        bias_ptr,
        at_m,
        block_row * BLOCK_N + at_n,
        rows,
        outputs,
        0,
        0,
        HAS_BIAS,
        False,
        "none",
    )


@triton.jit
def _row_kernel(
    x_ptr,
    blocks_ptr,
    starts_ptr,
    columns_ptr,
    y_ptr,
    bias_ptr,
    rows,
    outputs,
    inner,
    block_rows,
    stride_xm,
    stride_xk,
    HAS_BIAS: tl.constexpr,
    WIDTH: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    output = tl.program_id(0) % block_rows
    at_m = (tl.program_id(0) // block_rows) * BLOCK_M + tl.arange(0, BLOCK_M)
    at_k = tl.arange(0, BLOCK_K)
    first = tl.load(starts_ptr + output)
    last = tl.load(starts_ptr + output + 1)
    x_row = x_ptr + at_m.to(tl.int64)[:, None] * stride_xm
    w_at = blocks_ptr + first.to(tl.int64) * WIDTH + at_k
    total = tl.zeros((BLOCK_M, BLOCK_K), dtype=tl.float32)
    for block in range(first, last, BLOCK_K // WIDTH):
        which = block + at_k // WIDTH
        held = which < last
        column = tl.load(columns_ptr + which, mask=held, other=0).to(tl.int64) * WIDTH + at_k % WIDTH
        column = tl.max_contiguous(tl.multiple_of(column, WIDTH), WIDTH)
        x = tl.load(
            x_row + column[None, :] * stride_xk,
            mask=(at_m < rows)[:, None] & (held & (column < inner))[None, :],
            other=0.0,
        )
        w = tl.load(w_at, mask=held, other=0.0)
        w_at += BLOCK_K
        total += x.to(tl.float32) * w.to(tl.float32)[None, :]
    value = tl.sum(total, axis=1)[:, None]
    at_n = output + tl.arange(0, 1)
    finish(value, y_ptr, bias_ptr, bias_ptr, at_m, at_n, rows, outputs, 0, 0, HAS_BIAS, False, "none")


def run(
    x: torch.Tensor,
    blocks: torch.Tensor,
    starts: torch.Tensor,
    columns: torch.Tensor,
    bias: torch.Tensor | None,
    outputs: int,
    out_dtype: torch.dtype,
) -> torch.Tensor:
    """Return (m, outputs) of ``out_dtype``."""
    (rows, inner), (_, width, height) = x.shape, blocks.shape
    y = torch.empty((rows, outputs), dtype=out_dtype, device=x.device)
    if y.numel() == 0:
        return y
    block_rows = starts.shape[0] - 1
    config = ROW_CONFIG if height == 1 else CONFIGS[height].pick(rows, outputs)
    grid = (block_rows * triton.cdiv(rows, config.block_m),)
    operands = (
        x,
        blocks.contiguous(),
        starts.contiguous(),
        columns.contiguous(),
        y,
        y if bias is None else bias.contiguous(),
        rows,
        outputs,
        inner,
        block_rows,
        x.stride(0),
        x.stride(1),
    )
    launch = {"num_warps": warps_of(config.warps), "num_stages": config.stages}
    fixed = {
        "HAS_BIAS": bias is not None,
        "WIDTH": width,
        "BLOCK_M": config.block_m,
        "BLOCK_K": config.block_k,
    }
    if height == 1:
        _row_kernel[grid](*operands, **fixed, **launch)
    else:
        # The interpreter has no bfloat16 product; the product of two bfloat16 numbers is exact in float32.
        wide = x.dtype == torch.float32 or (x.dtype == torch.bfloat16 and interpreting())
        _tile_kernel[grid](*operands, **fixed, WIDE=wide, BLOCK_N=height, **launch)
    return y


def _build(name: str, config: LaunchConfig) -> Build:
    tiles = config.block_n > 1
    more = {"WIDE": False, "BLOCK_N": config.block_n} if tiles else {}
    return Build(
        config=name,
        function=_tile_kernel if tiles else _row_kernel,
        types={
            "x_ptr": "*fp16",
            "blocks_ptr": "*fp16",
            "starts_ptr": "*i32",
            "columns_ptr": "*i32",
            "y_ptr": "*fp16",
            "bias_ptr": "*fp32",
            "rows": "i32",
            "outputs": "i32",
            "inner": "i32",
            "block_rows": "i32",
            "stride_xm": "i64",
        },
        constants={
            "stride_xk": 1,
            "HAS_BIAS": True,
            "WIDTH": config.block_n if tiles else 16,
            "BLOCK_M": config.block_m,
            "BLOCK_K": config.block_k,
            **more,
        },
        aligned=(
            "x_ptr",
            "blocks_ptr",
            "starts_ptr",
            "columns_ptr",
            "y_ptr",
            "outputs",
            "inner",
            "stride_xm",
        ),
        warps=config.warps,
        stages=config.stages,
        tensor_core="fp16" if tiles else "",
        hot={"x": "x = tl.load(", "blocks": "w = tl.load("},
    )


def builds() -> tuple[Build, ...]:
    """Return one build per block shape and shape class (``conv`` runs as ``prefill``), half precision."""
    found = [
        _build(f"{size}x{size}-{name}", config)
        for size, configs in CONFIGS.items()
        for name, config in configs.items()
        if name != "conv"
    ]
    return (*found, _build("1x16", ROW_CONFIG))
