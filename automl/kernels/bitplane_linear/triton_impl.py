"""``bitplane_linear`` in Triton: the input is cut into planes, which are counted against those of the weight.

A product of p weight and q input planes is p q population counts (POPC, V_BCNT) of 32 codes each. GPUs do few
of them a cycle, so the kernel pays where the bytes of the weight are the bound: few rows, few bits.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from triton.language.extra import libdevice

from automl.kernels.bitplane_linear.planes_math import word_count
from automl.kernels.builds import Build
from automl.kernels.compilation.triton_impl import interpreting
from automl.kernels.epilogue.triton_impl import finish
from automl.kernels.epilogue.triton_impl import tile
from automl.kernels.launch import LaunchConfig
from automl.kernels.launch import warps_of

__all__ = ["CONFIGS", "builds", "config_of", "run"]

#: Most rows of input -> launch; ``block_k`` counts words of 32 codes. A tile holds up to 2,048 sums in the
#: registers of 128 threads; few rows leave room for many words, which hides the latency of the weight.
CONFIGS: tuple[tuple[str, int, LaunchConfig], ...] = (
    ("decode-1", 1, LaunchConfig(1, 32, 32)),
    ("decode-4", 4, LaunchConfig(4, 32, 16)),
    ("decode-16", 16, LaunchConfig(16, 64, 2)),
    ("prefill", 2**31, LaunchConfig(32, 64, 1)),
)
_GROUP = 8

#: The interpreter has no device library.
INTERPRETED = tl.constexpr(interpreting())
_PACK_ROWS = 4
_PACK_WORDS = 32
_FEW_WORDS = "a step has no more words than threads; population counts are the bound"


@triton.jit
def _ones(word):
    """Return the number of set bits of each 32-bit word."""
    if INTERPRETED:
        word = word.to(tl.uint32, bitcast=True)
        word = tl.sub(word, (word >> 1) & 0x55555555, sanitize_overflow=False)
        word = tl.add(word & 0x33333333, (word >> 2) & 0x33333333, sanitize_overflow=False)
        word = tl.add(word, word >> 4, sanitize_overflow=False) & 0x0F0F0F0F
        return (tl.mul(word, 0x01010101, sanitize_overflow=False) >> 24).to(tl.int32, bitcast=True)
    else:  # noqa: RET505
        return libdevice.popc(word)


@triton.jit
def _cut_kernel(
    x_ptr,
    planes_ptr,
    rows,
    inner,
    row_tiles,
    words,
    stride_row,
    stride_column,
    BITS: tl.constexpr,
    BINARY: tl.constexpr,
    TILE: tl.constexpr,
    BLOCK_R: tl.constexpr,
    BLOCK_W: tl.constexpr,
):
    """Write planes (row tiles, bits, words, TILE) of codes (rows, inner), zeros past the end of either.

    Whole tiles are read without a mask: a mask a word keeps more scalar registers alive than gfx942 has.
    """
    across = tl.cdiv(words, BLOCK_W)
    row = ((tl.program_id(0) // across) * BLOCK_R + tl.arange(0, BLOCK_R)).to(tl.int64)
    word = (tl.program_id(0) % across) * BLOCK_W + tl.arange(0, BLOCK_W)
    lane = tl.arange(0, 32)
    column = (word[:, None] * 32 + lane[None, :]).to(tl.int64)
    held = (row < rows)[:, None, None] & (column < inner)[None, :, :]
    at = x_ptr + row[:, None, None] * stride_row + column[None, :, :] * stride_column
    code = tl.load(at, mask=held, other=0).to(tl.int32)
    if BINARY:
        code = (code > 0).to(tl.int32)
    inside = (row < row_tiles * TILE)[:, None] & (word < words)[None, :]
    in_tile = (row % TILE)[:, None]
    for plane in tl.static_range(BITS):
        # Distinct bits: their sum is their union.
        packed = tl.sum(((code >> plane) & 1) << lane[None, None, :], axis=2)
        target = ((row // TILE)[:, None] * BITS + plane) * words + word[None, :]
        tl.store(planes_ptr + target * TILE + in_tile, packed, mask=inside)


@triton.jit
def _count_kernel(
    x_ptr,
    w_ptr,
    y_ptr,
    x_scale_ptr,
    w_scale_ptr,
    x_zero_ptr,
    w_zero_ptr,
    bias_ptr,
    rows,
    columns,
    inner,
    words,
    x_scale_stride,
    x_zero_stride,
    w_bits,
    X_BITS: tl.constexpr,
    X_KIND: tl.constexpr,
    W_KIND: tl.constexpr,
    X_ZERO: tl.constexpr,
    W_ZERO: tl.constexpr,
    X_SCALE: tl.constexpr,
    W_SCALE: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    SUMS: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    GROUP: tl.constexpr,
):
    tile_m, tile_n = tile(rows, columns, BLOCK_M, BLOCK_N, GROUP)
    at_m = tile_m * BLOCK_M + tl.arange(0, BLOCK_M)
    at_n = tile_n * BLOCK_N + tl.arange(0, BLOCK_N)
    at_k = tl.arange(0, BLOCK_K)
    XNOR: tl.constexpr = X_KIND == "binary" and W_KIND == "binary"
    NEED_X: tl.constexpr = not XNOR and (W_ZERO or W_KIND == "binary")
    NEED_W: tl.constexpr = not XNOR and (X_ZERO or X_KIND == "binary")
    total = tl.zeros((BLOCK_K, BLOCK_M, BLOCK_N), dtype=tl.int32)
    x_sum = tl.zeros((BLOCK_K, BLOCK_M), dtype=tl.int32)
    w_sum = tl.zeros((BLOCK_K, BLOCK_N), dtype=tl.int32)
    x_words = tl.cdiv(words, BLOCK_K) * BLOCK_K
    x_tile = x_ptr + tile_m.to(tl.int64) * x_words * (X_BITS * BLOCK_M)
    x_in_tile = at_k[:, None] * BLOCK_M + tl.arange(0, BLOCK_M)[None, :]
    for start in range(0, words, BLOCK_K):
        word = start + at_k
        inside_w = (word < words)[:, None] & (at_n < columns)[None, :]
        wide = word.to(tl.int64)
        x_planes = ()
        for t in tl.static_range(X_BITS):
            loaded = (tl.load(x_tile + (start + t * x_words) * BLOCK_M + x_in_tile),)
            x_planes = x_planes + loaded  # type: ignore[assignment]
            if NEED_X:
                sign = -1 if X_KIND == "signed" and t == X_BITS - 1 else 1
                x_sum += _ones(x_planes[t]) * (2 if X_KIND == "binary" else sign << t)
        # Not unrolled: all p q counts at once would not fit the registers.
        for s in range(w_bits):
            # What a set bit of the plane adds.
            w_adds = 2 if W_KIND == "binary" else 1 << s
            if W_KIND == "signed":
                w_adds = tl.where(s == w_bits - 1, -w_adds, w_adds)
            w_at = w_ptr + (wide + s * words)[:, None] * columns + at_n[None, :]
            w_plane = tl.load(w_at, mask=inside_w, other=0)
            if NEED_W:
                w_sum += _ones(w_plane) * w_adds
            for t in tl.static_range(X_BITS):
                if XNOR:
                    total += _ones(x_planes[t][:, :, None] ^ w_plane[:, None, :])
                else:
                    both = _ones(x_planes[t][:, :, None] & w_plane[:, None, :])
                    sign = -1 if X_KIND == "signed" and t == X_BITS - 1 else 1
                    adds = w_adds * (2 if X_KIND == "binary" else sign << t)
                    total = tl.add(total, both * adds, sanitize_overflow=False)
    result = tl.sum(total, axis=0)
    if XNOR:
        result = inner - 2 * result
    if NEED_X or NEED_W:
        x_zero = tl.zeros((BLOCK_M,), dtype=tl.int32) + (1 if X_KIND == "binary" else 0)
        w_zero = tl.zeros((BLOCK_N,), dtype=tl.int32) + (1 if W_KIND == "binary" else 0)
        if X_ZERO:
            x_zero += tl.load(x_zero_ptr + at_m.to(tl.int64) * x_zero_stride, mask=at_m < rows, other=0)
        if W_ZERO:
            w_zero += tl.load(w_zero_ptr + at_n, mask=at_n < columns, other=0)
        # Sums may wrap: only the last one must fit int32, and it does.
        x_part = tl.mul(tl.sum(x_sum, axis=0)[:, None], -w_zero[None, :], sanitize_overflow=False)
        w_part = tl.mul(-x_zero[:, None], tl.sum(w_sum, axis=0)[None, :], sanitize_overflow=False)
        zeros = tl.mul(x_zero[:, None] * w_zero[None, :], inner, sanitize_overflow=False)
        result = tl.add(result, x_part, sanitize_overflow=False)
        result = tl.add(result, tl.add(w_part, zeros, sanitize_overflow=False), sanitize_overflow=False)
    if SUMS:
        inside = (at_m < rows)[:, None] & (at_n < columns)[None, :]
        tl.store(y_ptr + at_m.to(tl.int64)[:, None] * columns + at_n[None, :], result, mask=inside)
    else:
        value = result.to(tl.float32)
        if X_SCALE:
            scale = tl.load(x_scale_ptr + at_m.to(tl.int64) * x_scale_stride, mask=at_m < rows, other=0.0)
            value *= scale[:, None]
        if W_SCALE:
            value *= tl.load(w_scale_ptr + at_n, mask=at_n < columns, other=0.0)[None, :]
        finish(value, y_ptr, bias_ptr, bias_ptr, at_m, at_n, rows, columns, 0, 0, HAS_BIAS, False, "none")


def _cut(x: torch.Tensor, bits: int, kind: str, config: LaunchConfig) -> torch.Tensor:
    """Return planes (row tiles, bits, words, block_m) int32, words filled up to whole steps."""
    rows, inner = x.shape
    row_tiles = triton.cdiv(rows, config.block_m)
    words = triton.cdiv(word_count(inner), config.block_k) * config.block_k
    shape = (row_tiles, bits, words, config.block_m)
    planes = torch.empty(shape, dtype=torch.int32, device=x.device)
    grid = (triton.cdiv(row_tiles * config.block_m, _PACK_ROWS) * triton.cdiv(words, _PACK_WORDS),)
    _cut_kernel[grid](
        x,
        planes,
        rows,
        inner,
        row_tiles,
        words,
        x.stride(0),
        x.stride(1),
        BITS=bits,
        BINARY=kind == "binary",
        TILE=config.block_m,
        BLOCK_R=_PACK_ROWS,
        BLOCK_W=_PACK_WORDS,
        num_warps=warps_of(4),
    )
    return planes


def config_of(rows: int) -> LaunchConfig:
    """Return the launch for ``rows`` rows of input: the first of ``CONFIGS`` that holds them."""
    return next(config for _, most, config in CONFIGS if rows <= most)


def run(
    x: torch.Tensor,
    planes: torch.Tensor,
    x_scale: torch.Tensor | None,
    w_scale: torch.Tensor | None,
    x_zero: torch.Tensor | None,
    w_zero: torch.Tensor | None,
    bias: torch.Tensor | None,
    x_bits: int,
    x_kind: str,
    w_kind: str,
    out_dtype: torch.dtype,
) -> torch.Tensor:
    """Return (m, n) of ``out_dtype``."""
    (rows, inner), (w_bits, words, columns) = x.shape, planes.shape
    y = torch.empty((rows, columns), dtype=out_dtype, device=x.device)
    if y.numel() == 0:
        return y
    config = config_of(rows)
    grid = (triton.cdiv(rows, config.block_m) * triton.cdiv(columns, config.block_n),)
    _count_kernel[grid](
        _cut(x, x_bits, x_kind, config),
        planes.contiguous(),
        y,
        y if x_scale is None else x_scale,
        y if w_scale is None else w_scale.contiguous(),
        y if x_zero is None else x_zero,
        y if w_zero is None else w_zero.contiguous(),
        y if bias is None else bias.contiguous(),
        rows,
        columns,
        inner,
        words,
        x_scale.stride(0) if x_scale is not None and x_scale.dim() else 0,
        x_zero.stride(0) if x_zero is not None and x_zero.dim() else 0,
        w_bits,
        X_BITS=x_bits,
        X_KIND=x_kind,
        W_KIND=w_kind,
        X_ZERO=x_zero is not None,
        W_ZERO=w_zero is not None,
        X_SCALE=x_scale is not None,
        W_SCALE=w_scale is not None,
        HAS_BIAS=bias is not None,
        SUMS=out_dtype == torch.int32,
        BLOCK_M=config.block_m,
        BLOCK_N=config.block_n,
        BLOCK_K=config.block_k,
        GROUP=_GROUP,
        num_warps=warps_of(config.warps),
    )
    return y


def _count_build(name: str, config: LaunchConfig, bits: tuple[int, int], kinds: tuple[str, str]) -> Build:
    zeros = kinds[0] == "unsigned"
    few = config.block_m <= 4
    return Build(
        config=f"{name}-w{bits[0]}a{bits[1]}",
        function=_count_kernel,
        types={
            "x_ptr": "*i32",
            "w_ptr": "*i32",
            "y_ptr": "*fp16",
            "x_scale_ptr": "*fp32",
            "w_scale_ptr": "*fp32",
            "x_zero_ptr": "*i32",
            "w_zero_ptr": "*i32",
            "bias_ptr": "*fp32",
            "rows": "i32",
            "columns": "i32",
            "inner": "i32",
            "words": "i32",
            **({} if bits[0] == 1 else {"w_bits": "i32"}),
        },
        constants={
            "x_scale_stride": 1,
            "x_zero_stride": 1,
            "X_BITS": bits[1],
            **({"w_bits": 1} if bits[0] == 1 else {}),
            "X_KIND": kinds[0],
            "W_KIND": kinds[1],
            "X_ZERO": zeros,
            "W_ZERO": False,
            "X_SCALE": True,
            "W_SCALE": True,
            "HAS_BIAS": True,
            "SUMS": False,
            "BLOCK_M": config.block_m,
            "BLOCK_N": config.block_n,
            "BLOCK_K": config.block_k,
            "GROUP": _GROUP,
        },
        aligned=("x_ptr", "w_ptr", "y_ptr", "columns", "inner"),
        warps=config.warps,
        stages=config.stages,
        hot={"planes": "w_plane = tl.load("} if few else {},
        narrow={
            "x": _FEW_WORDS,
            **({} if few else {"planes": _FEW_WORDS}),
        },
    )


def builds() -> tuple[Build, ...]:
    """Return the cutting of codes, and every launch for binary, 2-, 4- and 8-bit codes."""
    cut = Build(
        config="cut-8",
        function=_cut_kernel,
        types={
            "x_ptr": "*u8",
            "planes_ptr": "*i32",
            "rows": "i32",
            "inner": "i32",
            "row_tiles": "i32",
            "words": "i32",
            "stride_row": "i64",
        },
        constants={
            "stride_column": 1,
            "BITS": 8,
            "BINARY": False,
            "TILE": CONFIGS[-1][2].block_m,
            "BLOCK_R": _PACK_ROWS,
            "BLOCK_W": _PACK_WORDS,
        },
        aligned=("x_ptr", "planes_ptr", "inner", "stride_row"),
        hot={"x": "code = tl.load("},
    )
    found = [cut]
    for name, _, config in CONFIGS:
        found.append(_count_build(name, config, (1, 1), ("binary", "binary")))
        found.append(_count_build(name, config, (2, 2), ("unsigned", "signed")))
        found.append(_count_build(name, config, (4, 4), ("unsigned", "signed")))
        found.append(_count_build(name, config, (8, 8), ("unsigned", "signed")))
    return tuple(found)
