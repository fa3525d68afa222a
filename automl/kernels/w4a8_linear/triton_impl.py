"""``w4a8_linear`` in Triton: nibbles become int8 codes times 16 by a mask or a shift, no sign is extended.

Reference: "A Speed Odyssey for Deployable Quantization of LLMs", arXiv 2311.09550 (FastGEMM), and "Integer
Scale", arXiv 2405.14597. The factor 16 goes into the scale; with group scales it is shifted out of each
group's sum, which is a multiple of 16, so that int32 keeps its four bits.
"""

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
from automl.kernels.w4a8_linear.scales_math import odd_group

__all__ = ["CONFIGS", "builds", "refusal", "run"]

CONFIGS = LaunchTable(
    decode=LaunchConfig(16, 64, 128, warps=4, stages=4),
    prefill=LaunchConfig(128, 128, 64, warps=8, stages=4),
    conv=LaunchConfig(128, 64, 64, warps=4, stages=4),
)
_GROUP = 8


@triton.jit
def _w4a8_kernel(
    x_ptr,
    codes_ptr,
    y_ptr,
    x_scale_ptr,
    scale_ptr,
    bias_ptr,
    residual_ptr,
    rows,
    columns,
    inner,
    width,
    groups,
    group,
    group_pieces,
    steps,
    inverse_alpha,
    stride_xm,
    stride_xk,
    stride_rm,
    stride_rn,
    x_scale_stride,
    FORM: tl.constexpr,
    WORDS: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    HAS_RESIDUAL: tl.constexpr,
    ACTIVATION: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    GROUP: tl.constexpr,
):
    """Each group takes ``steps`` steps of BLOCK_K inputs; groups are even, so steps start at whole bytes."""
    tile_m, tile_n = tile(rows, columns, BLOCK_M, BLOCK_N, GROUP)
    at_m = tile_m * BLOCK_M + tl.arange(0, BLOCK_M)
    at_n = tile_n * BLOCK_N + tl.arange(0, BLOCK_N)
    at_k = tl.arange(0, BLOCK_K)
    # Eight nibbles are read as one word, so that a thread's 16 bytes are one load.
    PER: tl.constexpr = 8 if WORDS else 2
    PIECES: tl.constexpr = BLOCK_K // PER
    if WORDS:
        codes_ptr = codes_ptr.to(tl.pointer_type(tl.int32))
    at_piece = tl.arange(0, PIECES)
    # A nibble shifted to the top of a word and back by 24 bits is 16 times its signed value, but for the bits
    # of its lower neighbour, which a mask drops.
    shifts = (28 - 4 * tl.arange(0, PER))[None, None, :]
    x_row = x_ptr + at_m.to(tl.int64)[None, :] * stride_xm
    codes_row = codes_ptr + at_n.to(tl.int64)[:, None] * width
    inside_m = at_m[None, :] < rows
    inside_n = at_n < columns
    if FORM == "float":
        total = tl.zeros((BLOCK_N, BLOCK_M), dtype=tl.float32)
    else:
        total = tl.zeros((BLOCK_N, BLOCK_M), dtype=tl.int32)
    for step in range(groups * steps):
        at_group = step // steps
        offset = (step % steps) * BLOCK_K
        start = at_group * group + offset
        left = tl.minimum(group - offset, inner - start)
        # Pieces are counted on their own: a quotient of inputs would hide its factor 16 from the compiler.
        piece_offset = (step % steps) * PIECES
        first = at_group * group_pieces + piece_offset
        left_pieces = tl.minimum(group_pieces - piece_offset, width - first)
        x_at = x_row + (start + at_k).to(tl.int64)[:, None] * stride_xk
        x = tl.load(x_at, mask=inside_m & (at_k[:, None] < left), other=0)
        raw_at = codes_row + (first + at_piece)[None, :]
        raw = tl.load(raw_at, mask=inside_n[:, None] & (at_piece[None, :] < left_pieces), other=0).to(
            tl.int32
        )
        sixteenfold = ((raw[:, :, None] << shifts) >> 24) & -16
        w = tl.reshape(sixteenfold, (BLOCK_N, BLOCK_K)).to(tl.int8)
        if FORM == "channel":
            total = tl.dot(w, x, total)
        else:
            part = tl.dot(w, x, out_dtype=tl.int32) >> 4
            scale = tl.load(scale_ptr + at_n.to(tl.int64) * groups + at_group, mask=inside_n, other=0)
            if FORM == "integer":
                total += part * scale[:, None]
            else:
                total += part.to(tl.float32) * scale[:, None]
    value = tl.trans(total).to(tl.float32)
    row_scale = tl.load(x_scale_ptr + at_m.to(tl.int64) * x_scale_stride, mask=at_m < rows, other=0.0)
    if FORM == "channel":
        scale = tl.load(scale_ptr + at_n, mask=inside_n, other=0.0)
        value = value * row_scale[:, None] * (scale * 0.0625)[None, :]
    else:
        value = value * (row_scale * inverse_alpha)[:, None]
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


def refusal(
    x: torch.Tensor,
    x_scale: torch.Tensor,
    codes: torch.Tensor,
    scale: torch.Tensor,
    group: int,
    alpha: int,
    bias: torch.Tensor | None,
    residual: torch.Tensor | None,
    activation: str,
    out_dtype: torch.dtype,
) -> str | None:
    """Return why the weight's groups cannot be read byte by byte, or None."""
    return odd_group(group, scale.shape[1])


def _form(scale: torch.Tensor, alpha: int) -> str:
    if alpha:
        return "integer"
    return "channel" if scale.shape[1] == 1 else "float"


def _step(config: LaunchConfig, group: int) -> int:
    """Return the inner length of one step: no longer than a group, not below an instruction's 32."""
    return min(config.block_k, max(32, int(triton.next_power_of_2(group))))


def run(
    x: torch.Tensor,
    x_scale: torch.Tensor,
    codes: torch.Tensor,
    scale: torch.Tensor,
    group: int,
    alpha: int,
    bias: torch.Tensor | None,
    residual: torch.Tensor | None,
    activation: str,
    out_dtype: torch.dtype,
) -> torch.Tensor:
    """Return (m, n) of ``out_dtype``."""
    (rows, inner), columns = x.shape, codes.shape[0]
    y = torch.empty((rows, columns), dtype=out_dtype, device=x.device)
    if y.numel() == 0:
        return y
    config = CONFIGS.pick(rows, columns)
    groups = scale.shape[1]
    group = inner if groups == 1 else group
    block_k = _step(config, group)
    codes = codes.contiguous()
    pieces = (group + 1) // 2
    words = codes.shape[1] % 4 == 0 and pieces % 4 == 0 and codes.data_ptr() % 4 == 0
    grid = (triton.cdiv(rows, config.block_m) * triton.cdiv(columns, config.block_n),)
    _w4a8_kernel[grid](
        x,
        codes,
        y,
        x_scale,
        scale.contiguous(),
        y if bias is None else bias.contiguous(),
        y if residual is None else residual,
        rows,
        columns,
        inner,
        codes.shape[1] // 4 if words else codes.shape[1],
        groups,
        group,
        pieces // 4 if words else pieces,
        triton.cdiv(group, block_k),
        1.0 / (alpha or 1),
        x.stride(0),
        x.stride(1),
        0 if residual is None else residual.stride(0),
        0 if residual is None else residual.stride(1),
        x_scale.stride(0) if x_scale.dim() else 0,
        FORM=_form(scale, alpha),
        WORDS=words,
        HAS_BIAS=bias is not None,
        HAS_RESIDUAL=residual is not None,
        ACTIVATION=activation,
        BLOCK_M=config.block_m,
        BLOCK_N=config.block_n,
        BLOCK_K=block_k,
        GROUP=_GROUP,
        num_warps=warps_of(config.warps),
        num_stages=config.stages,
    )
    return y


def _build(form: str, name: str, config: LaunchConfig) -> Build:
    whole = ("rows", "columns", "inner", "width", "group", "group_pieces", "steps")
    return Build(
        config=f"{name}-{form}",
        function=_w4a8_kernel,
        types={
            "x_ptr": "*i8",
            "codes_ptr": "*u8",
            "y_ptr": "*fp16",
            "x_scale_ptr": "*fp32",
            "scale_ptr": "*i32" if form == "integer" else "*fp32",
            "bias_ptr": "*fp32",
            "residual_ptr": "*fp16",
            **dict.fromkeys(whole if form == "channel" else (*whole, "groups"), "i32"),
            "inverse_alpha": "fp32",
            "stride_xm": "i64",
            "stride_rm": "i64",
        },
        constants={
            **({"groups": 1} if form == "channel" else {}),
            "stride_xk": 1,
            "stride_rn": 1,
            "x_scale_stride": 1,
            "FORM": form,
            "WORDS": True,
            "HAS_BIAS": True,
            "HAS_RESIDUAL": False,
            "ACTIVATION": "none",
            "BLOCK_M": config.block_m,
            "BLOCK_N": config.block_n,
            "BLOCK_K": _step(config, 128),
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
            "group_pieces",
            "stride_xm",
            "stride_rm",
        ),
        warps=config.warps,
        stages=config.stages,
        tensor_core="int8",
        hot={"x": "x = tl.load(", "codes": "raw = tl.load("},
    )


def builds() -> tuple[Build, ...]:
    """Return one build per shape class and form of the scales, groups of 128."""
    forms = ("channel", "integer", "float")
    return tuple(_build(form, name, config) for name, config in CONFIGS.items() for form in forms)
