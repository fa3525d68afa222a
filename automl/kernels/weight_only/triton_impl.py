"""The weight-only product in Triton: codes are widened in registers and multiplied on tensor cores.

The product is computed transposed, weight first: the widened tile is then the operand that Hopper takes from
registers, and a few rows of input pad 16 columns instead of 64 rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from automl.kernels.weight_only.weight import Weight

__all__ = ["CONFIGS", "builds", "product"]

#: Shared memory of every row stays below the 64 kB of gfx942.
CONFIGS = LaunchTable(
    decode=LaunchConfig(16, 64, 128, warps=4, stages=4),
    prefill=LaunchConfig(128, 128, 64, warps=8, stages=3),
    conv=LaunchConfig(64, 64, 64, warps=4, stages=3),
)
_GROUP = 8
#: A multiple of every block: all of a row lies in its group 0.
_WHOLE = 2**30


@triton.jit
def _weight_only_kernel(
    x_ptr,
    codes_ptr,
    y_ptr,
    scale_ptr,
    zero_ptr,
    table_ptr,
    bias_ptr,
    residual_ptr,
    rows,
    columns,
    inner,
    width,
    groups,
    group,
    stride_xm,
    stride_xk,
    stride_rm,
    stride_rn,
    BITS: tl.constexpr,
    WORDS: tl.constexpr,
    MIDDLE: tl.constexpr,
    FLIP: tl.constexpr,
    HAS_ZERO: tl.constexpr,
    HAS_TABLE: tl.constexpr,
    ONE_GROUP_A_STEP: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    HAS_RESIDUAL: tl.constexpr,
    ACTIVATION: tl.constexpr,
    WIDE: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    GROUP: tl.constexpr,
):
    tile_m, tile_n = tile(rows, columns, BLOCK_M, BLOCK_N, GROUP)
    at_m = tile_m * BLOCK_M + tl.arange(0, BLOCK_M)
    at_n = tile_n * BLOCK_N + tl.arange(0, BLOCK_N)
    at_k = tl.arange(0, BLOCK_K)
    # Eight nibbles or four bytes are read as one word, so that a thread's 16 bytes are one load.
    PER: tl.constexpr = 32 // BITS if WORDS else 8 // BITS
    PIECES: tl.constexpr = BLOCK_K // PER
    if WORDS:
        codes_ptr = codes_ptr.to(tl.pointer_type(tl.int32))
    at_piece = tl.arange(0, PIECES)
    shifts = (tl.arange(0, PER) * BITS)[None, None, :]
    x_at = x_ptr + at_m.to(tl.int64)[None, :] * stride_xm + at_k.to(tl.int64)[:, None] * stride_xk
    codes_at = codes_ptr + at_n.to(tl.int64)[:, None] * width + at_piece[None, :]
    group_row = at_n.to(tl.int64) * groups
    inside_m = at_m[None, :] < rows
    inside_n = at_n[:, None] < columns
    total = tl.zeros((BLOCK_N, BLOCK_M), dtype=tl.float32)
    if HAS_TABLE:
        table = tl.broadcast_to(tl.load(table_ptr + tl.arange(0, 2**BITS))[None, :], (BLOCK_N, 2**BITS))
    for start in range(0, inner, BLOCK_K):
        x = tl.load(x_at, mask=inside_m & (at_k[:, None] < inner - start), other=0.0)
        left = width - start // PER
        raw = tl.load(codes_at, mask=inside_n & (at_piece[None, :] < left), other=0).to(tl.int32)
        code = tl.reshape((raw[:, :, None] >> shifts) & (2**BITS - 1), (BLOCK_N, BLOCK_K))
        if HAS_TABLE:  # noqa: SIM108
            level = tl.gather(table, code, 1)
        else:
            level = ((code ^ FLIP) - MIDDLE).to(tl.float32)
        if not ONE_GROUP_A_STEP:
            at_group = group_row[:, None] + ((start + at_k) // group)[None, :]
            inside_group = inside_n & (at_k[None, :] < inner - start)
            if HAS_ZERO:
                zero = tl.load(zero_ptr + at_group, mask=inside_group, other=MIDDLE).to(tl.float32)
                level -= zero - MIDDLE
            level *= tl.load(scale_ptr + at_group, mask=inside_group, other=0.0).to(tl.float32)
        weight = level.to(x_ptr.dtype.element_ty)
        if WIDE:
            weight = weight.to(tl.float32)
            x = x.to(tl.float32)
        if ONE_GROUP_A_STEP:
            # Scale and zero act on the sums: there are fewer of those than of weights, and levels stay exact.
            part = tl.dot(weight, x, input_precision="ieee")
            at_group = (group_row + start // group)[:, None]
            if HAS_ZERO:
                zero = tl.load(zero_ptr + at_group, mask=inside_n, other=MIDDLE).to(tl.float32) - MIDDLE
                part -= zero * tl.sum(x.to(tl.float32), axis=0)[None, :]
            total += part * tl.load(scale_ptr + at_group, mask=inside_n, other=0.0).to(tl.float32)
        else:
            total = tl.dot(weight, x, total, input_precision="ieee")
        x_at += BLOCK_K * stride_xk
        codes_at += PIECES
    finish(
        tl.trans(total),
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


def _step(config: LaunchConfig, group: int) -> int:
    """Return the inner length of one step: no longer than a group, where a group is a power of two."""
    whole = group >= 32 and group & (group - 1) == 0
    return min(config.block_k, group) if whole else config.block_k


def product(
    x: torch.Tensor,
    weight: Weight,
    bias: torch.Tensor | None,
    residual: torch.Tensor | None,
    activation: str,
) -> torch.Tensor:
    """Return (m, n) of the type of ``x``, accumulated in float32."""
    rows, columns = x.shape[0], weight.codes.shape[0]
    y = torch.empty((rows, columns), dtype=x.dtype, device=x.device)
    if y.numel() == 0:
        return y
    config = CONFIGS.pick(rows, columns)
    groups = weight.scale.shape[1]
    group = _WHOLE if groups == 1 else weight.group
    block_k = _step(config, group)
    codes = weight.codes.contiguous()
    signed = codes.dtype == torch.int8
    codes = codes.view(torch.uint8)
    words = codes.shape[1] % 4 == 0 and codes.data_ptr() % 4 == 0
    grid = (triton.cdiv(rows, config.block_m) * triton.cdiv(columns, config.block_n),)
    _weight_only_kernel[grid](
        x,
        codes,
        y,
        weight.scale.contiguous(),
        codes if weight.zero is None else weight.zero.contiguous(),
        y if weight.table is None else weight.table.contiguous(),
        y if bias is None else bias.contiguous(),
        y if residual is None else residual,
        rows,
        columns,
        weight.inner,
        codes.shape[1] // 4 if words else codes.shape[1],
        groups,
        group,
        x.stride(0),
        x.stride(1),
        0 if residual is None else residual.stride(0),
        0 if residual is None else residual.stride(1),
        BITS=weight.bits,
        WORDS=words,
        MIDDLE=2 ** (weight.bits - 1),
        FLIP=128 if signed else 0,
        HAS_ZERO=weight.zero is not None,
        HAS_TABLE=weight.table is not None,
        ONE_GROUP_A_STEP=group % block_k == 0,
        HAS_BIAS=bias is not None,
        HAS_RESIDUAL=residual is not None,
        ACTIVATION=activation,
        # The interpreter has no bfloat16 product; the product of two bfloat16 numbers is exact in float32.
        WIDE=x.dtype == torch.bfloat16 and interpreting(),
        BLOCK_M=config.block_m,
        BLOCK_N=config.block_n,
        BLOCK_K=block_k,
        GROUP=_GROUP,
        num_warps=warps_of(config.warps),
        # Operands of four bytes fill the shared memory with half the stages.
        num_stages=config.stages if x.element_size() == 2 else 2,
    )
    return y


def _build(bits: int, kind: str, name: str, config: LaunchConfig, dtype: str) -> Build:
    signed = bits == 8 and kind == "symmetric"
    block_k = _step(config, 128)
    return Build(
        config=f"{name}-{kind}-{dtype}",
        function=_weight_only_kernel,
        types={
            "x_ptr": f"*{dtype}",
            "codes_ptr": "*u8",
            "y_ptr": f"*{dtype}",
            "scale_ptr": f"*{dtype}",
            "zero_ptr": "*u8",
            "table_ptr": "*fp32",
            "bias_ptr": f"*{dtype}",
            "residual_ptr": f"*{dtype}",
            **dict.fromkeys(("rows", "columns", "inner", "width", "groups", "group"), "i32"),
            "stride_xm": "i64",
            "stride_rm": "i64",
        },
        constants={
            "stride_xk": 1,
            "stride_rn": 1,
            "BITS": bits,
            "WORDS": True,
            "MIDDLE": 2 ** (bits - 1),
            "FLIP": 128 if signed else 0,
            "HAS_ZERO": kind == "asymmetric",
            "HAS_TABLE": kind == "table",
            "ONE_GROUP_A_STEP": True,
            "HAS_BIAS": True,
            "HAS_RESIDUAL": False,
            "ACTIVATION": "none",
            "WIDE": False,
            "BLOCK_M": config.block_m,
            "BLOCK_N": config.block_n,
            "BLOCK_K": block_k,
            "GROUP": _GROUP,
        },
        aligned=(
            "x_ptr",
            "codes_ptr",
            "y_ptr",
            "columns",
            "inner",
            "width",
            "group",
            "stride_xm",
            "stride_rm",
        ),
        warps=config.warps,
        stages=config.stages,
        tensor_core="fp16",
        hot={"x": "x = tl.load(", "codes": "raw = tl.load("},
    )


def builds(bits: int) -> tuple[Build, ...]:
    """Return one build per shape class and kind of levels in float16, and the symmetric kind in bfloat16."""
    found = [
        _build(bits, kind, name, config, "fp16")
        for name, config in CONFIGS.items()
        for kind in ("symmetric", "asymmetric", *(("table",) if bits == 4 else ()))
    ]
    found += [_build(bits, "symmetric", name, config, "bf16") for name, config in CONFIGS.items()]
    return tuple(found)
