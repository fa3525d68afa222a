"""``bitplane_linear``: a linear layer of 1- to 8-bit codes, cut into bit planes.

``y = x_scale * w_scale * sum_k (x - x_zero)(w - w_zero) + bias``, the sum from population counts of planes:
``sum_k x w = sum_st c_s c_t popcount(W_s & X_t)`` with ``c_s = 2^s``, the plane of the sign negative. For two
binary operands, -1 and +1, it is ``k - 2 popcount(W ^ X)``.

Paper: "ABQ-LLM: Arbitrary-Bit Quantized Inference Acceleration for Large Language Models", arXiv 2408.08554.
Theirs packs p planes for every p-bit set; here the 5-level set takes the 3 planes that it needs.
"""

from __future__ import annotations

import torch

from automl.core.errors import KernelError
from automl.kernels import table
from automl.kernels.bitplane_linear.planes_math import KINDS
from automl.kernels.bitplane_linear.planes_math import code_range
from automl.kernels.bitplane_linear.planes_math import largest
from automl.kernels.bitplane_linear.planes_math import longest
from automl.kernels.bitplane_linear.planes_math import word_count
from automl.kernels.checks import need_device
from automl.kernels.checks import need_dtype
from automl.kernels.checks import need_one_of
from automl.kernels.checks import need_shape
from automl.kernels.checks import need_steps
from automl.kernels.dispatch import choose
from automl.kernels.spec import KernelSpec

__all__ = ["SPEC", "bitplane_linear"]

SPEC = KernelSpec(
    name="bitplane_linear",
    summary="1- to 8-bit weights x 1- to 8-bit inputs by bit planes and population counts, zero points, XNOR",
    dtypes=("int8", "uint8"),
    paper="ABQ-LLM: Arbitrary-Bit Quantized Inference Acceleration for LLMs, arXiv 2408.08554",
    cpu="64-bit population counts for few rows and planes, else oneDNN's int8 product",
    native="counts (VPOPCNTDQ) with zero points, scales and bias, up to 48 pairs of planes and rows",
)

_OUTPUTS = (torch.float32, torch.float16, torch.bfloat16, torch.int32)


@torch.library.custom_op("automl::bitplane_linear", mutates_args=())
def _bitplane_linear(
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
    implementation: str,
) -> torch.Tensor:
    _need_codes(x, x_bits, x_kind)
    if x_scale is not None:
        need_steps(SPEC.name, "x_scale", x_scale, measured=True)
    if w_scale is not None:
        need_steps(SPEC.name, "w_scale", w_scale)
    run = table.implementation(SPEC.name, implementation)
    y: torch.Tensor = run(
        x, planes, x_scale, w_scale, x_zero, w_zero, bias, x_bits, x_kind, w_kind, out_dtype
    )
    return y.to(out_dtype)


@_bitplane_linear.register_fake
def _fake(
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
    implementation: str,
) -> torch.Tensor:
    return x.new_empty((x.shape[0], planes.shape[2]), dtype=out_dtype)


def _need_codes(x: torch.Tensor, bits: int, kind: str) -> None:
    """Refuse codes beyond their bits, which planes would cut off in silence; a GPU is not stalled to look."""
    if x.device.type != "cpu" or x.numel() == 0:
        return
    low, high = code_range(bits, kind)
    least, most = (int(v) for v in torch.aminmax(x))
    if least < low or most > high:
        raise KernelError(
            f"kernel '{SPEC.name}' got the input code {least if least < low else most} for {bits} "
            f"{kind} bits; allowed: {low} to {high}; clip the codes or take more bits"
        )


def _need_operands(x: torch.Tensor, planes: torch.Tensor, x_bits: int, x_kind: str, w_kind: str) -> None:
    need_one_of(SPEC.name, "x_kind", x_kind, KINDS)
    need_one_of(SPEC.name, "w_kind", w_kind, KINDS)
    need_dtype(SPEC.name, "x", x, (torch.uint8 if x_kind == "unsigned" else torch.int8,))
    need_dtype(SPEC.name, "planes", planes, (torch.int32,))
    need_one_of(SPEC.name, "x_bits", x_bits, range(1, 2 if x_kind == "binary" else 9))
    if x.dim() == 0 or x.shape[-1] == 0:
        raise KernelError(
            f"kernel '{SPEC.name}' got x of shape {tuple(x.shape)}; allowed: (..., k) with k >= 1; "
            "pass at least one input channel"
        )
    words = word_count(x.shape[-1])
    need_shape(SPEC.name, "planes", planes, (None, words, None), "(p, ceil(k / 32), n)")
    need_one_of(SPEC.name, "weight bits", planes.shape[0], range(1, 2 if w_kind == "binary" else 9))


def bitplane_linear(
    x: torch.Tensor,
    planes: torch.Tensor,
    *,
    x_bits: int,
    x_kind: str = "unsigned",
    w_kind: str = "signed",
    x_scale: torch.Tensor | None = None,
    w_scale: torch.Tensor | None = None,
    x_zero: torch.Tensor | None = None,
    w_zero: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    out_dtype: torch.dtype = torch.float32,
    preference: str = "auto",
) -> torch.Tensor:
    """Return the linear layer of codes and a weight in bit planes.

    Args:
        x: (..., k) codes, uint8 when ``x_kind`` is ``unsigned``, else int8; any strides, no rows is allowed.
        planes: (p, ceil(k / 32), n) int32 of ``planes_math.pack_planes``.
        x_bits: bits of the codes of x, 1 to 8.
        x_kind: ``unsigned``, ``signed`` (two's complement) or ``binary`` (-1 and +1, one bit).
        w_kind: the same for the weight; balanced sets are ``signed``.
        x_scale: float32, x.shape[:-1] per row or () for all.
        w_scale: (n,) float32.
        x_zero: int32 zero points, x.shape[:-1] or (), each a possible code of x.
        w_zero: (n,) int32 zero points, each a possible code of the weight.
        bias: (n,), any float type.
        out_dtype: float32, float16 or bfloat16; or int32 for the plain sums, without scales and bias.
        preference: see ``automl.kernels.dispatch``.

    Returns:
        (..., n) of ``out_dtype``.

    Raises:
        KernelError: a type, shape, code or option is not allowed, int32 could overflow, or the ordered
            implementation cannot run.
    """
    _need_operands(x, planes, x_bits, x_kind, w_kind)
    need_one_of(SPEC.name, "out_dtype", out_dtype, _OUTPUTS)
    columns = planes.shape[2]
    for name, tensor in (("x_scale", x_scale), ("x_zero", x_zero)):
        if tensor is not None:
            need_dtype(SPEC.name, name, tensor, (torch.float32 if name == "x_scale" else torch.int32,))
            if tensor.dim():
                need_shape(SPEC.name, name, tensor, x.shape[:-1], "one per row, or () for all")
    for name, tensor in (("w_scale", w_scale), ("w_zero", w_zero), ("bias", bias)):
        if tensor is not None:
            need_shape(SPEC.name, name, tensor, (columns,), "(n,)")
    if w_scale is not None:
        need_dtype(SPEC.name, "w_scale", w_scale, (torch.float32,))
    if w_zero is not None:
        need_dtype(SPEC.name, "w_zero", w_zero, (torch.int32,))
    if out_dtype == torch.int32 and not (x_scale is None and w_scale is None and bias is None):
        raise KernelError(
            f"kernel '{SPEC.name}' got out_dtype=int32 with a scale or bias; allowed: plain sums in int32; "
            "drop the scales and the bias, or take out_dtype=float32"
        )
    x_size = largest(x_bits, x_kind, zero=x_zero is not None)
    most = longest(x_size, largest(planes.shape[0], w_kind, zero=w_zero is not None))
    if x.shape[-1] > most:
        raise KernelError(
            f"kernel '{SPEC.name}' got k={x.shape[-1]}; allowed: at most {most} with these bits, beyond "
            "which int32 sums can overflow; split the layer"
        )
    others = {"planes": planes, "x_scale": x_scale, "w_scale": w_scale, "x_zero": x_zero, "w_zero": w_zero}
    need_device(SPEC.name, x, {**others, "bias": bias})
    choice = choose(SPEC, x.device.type, preference=preference)
    y: torch.Tensor = _bitplane_linear(
        x.reshape(-1, x.shape[-1]),
        planes,
        x_scale.reshape(-1) if x_scale is not None and x_scale.dim() else x_scale,
        w_scale,
        x_zero.reshape(-1) if x_zero is not None and x_zero.dim() else x_zero,
        w_zero,
        bias,
        x_bits,
        x_kind,
        w_kind,
        out_dtype,
        choice.implementation,
    )
    return y.reshape(*x.shape[:-1], columns)
