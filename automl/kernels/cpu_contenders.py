"""The dense products on the CPU next to the calls that they wrap and to float, for one shape."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch

from automl.kernels.native.library import using
from automl.kernels.quantize_rows.cpu_impl import run as quantize_rows
from automl.kernels.w4a8_linear.cpu_impl import pack as pack_w4a8
from automl.kernels.w4a8_linear.scales_math import pack_signed
from automl.kernels.w8a8_linear.cpu_impl import pack as pack_w8a8
from automl.kernels.w8a8_linear.product_codes import product_codes
from automl.kernels.weight_only.cpu_impl import pack as pack_weight
from automl.kernels.weight_only.formats_math import nf4
from automl.kernels.weight_only.formats_math import pack_nibbles
from automl.kernels.weight_only.weight import Weight

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BASELINE", "SHAPES", "WRAPPED", "contenders"]

#: (m, k, n): one token, a short prompt, an image of a vision transformer, a square.
SHAPES = ((1, 2048, 2048), (16, 768, 3072), (197, 768, 3072), (1024, 1024, 1024))

BASELINE = "f32 F.linear"

#: Our call -> torch's bare call that it wraps, or stands in for where it is compiled.
WRAPPED = {
    "w8a8 static": "bare onednn qlinear",
    "w4a16 g64": "bare int4pack",
    "w8a16": "bare int8pack",
}
_GROUP = 64


def contenders(shape: tuple[int, int, int], seed: int = 0) -> dict[str, Callable[[], object]]:
    """Return name -> call for products of (m, k) inputs with (n, k) weights, weights packed beforehand.

    A bare packed call is there only for as many rows as the kernel itself would send to it.
    """
    m, k, n = shape
    g = torch.Generator().manual_seed(seed)
    x, w = torch.randn(m, k, generator=g), torch.randn(n, k, generator=g).mul_(0.02)
    half_x, half_w = x.bfloat16(), w.bfloat16()
    linear = torch.nn.functional.linear
    calls: dict[str, Callable[[], object]] = {
        BASELINE: lambda: linear(x, w),
        "bf16 F.linear": lambda: linear(half_x, half_w),
    }
    return {**calls, **_int8(x, w), **_weight_only(half_x, g, n)}


def _int8(x: torch.Tensor, w: torch.Tensor) -> dict[str, Callable[[], object]]:
    codes, w_scale = quantize_rows(w, "int8", "row", None)
    packed = pack_w8a8(codes, w_scale, None, by_row=True)
    for_these = pack_w8a8(codes, w_scale, None, rows=x.shape[0])
    x_codes, x_scale = quantize_rows(x, "int8", "tensor", None)
    step = float(x_scale)
    static = for_these.bound(step)
    nibbles = pack_signed((w / w.abs().amax(dim=1, keepdim=True) * 7).round())
    four_scale = w.abs().amax(dim=1, keepdim=True) / 7
    static_w4 = pack_w4a8(nibbles, four_scale, None, inner=w.shape[1], rows=x.shape[0]).bound(step)
    bare = torch.ops.onednn.qlinear_pointwise.default
    none: list[float | None] = []
    taken, zero = product_codes(x_codes)

    def bare_qlinear() -> object:
        parts = (packed.weight, packed.scale, packed.zero)
        return bare(taken, step, zero, *parts, None, 1.0, 0, torch.float32, "none", none, "none")

    return {
        "bare onednn qlinear": bare_qlinear,
        "w8a8 static": lambda: static(x_codes),
        "w8a8 dynamic per tensor": lambda: for_these.dynamic(x, "tensor"),
        "w8a8 dynamic per row": lambda: packed.dynamic(x, "row"),
        "w4a8 static": lambda: static_w4(x_codes),
    }


def _weight_only(x: torch.Tensor, g: torch.Generator, n: int) -> dict[str, Callable[[], object]]:
    m, k = x.shape
    calls: dict[str, Callable[[], object]] = {}
    four = torch.randint(0, 16, (n, k), generator=g)
    scale = torch.rand(n, k // _GROUP, generator=g).div_(64)
    weight4 = Weight(4, pack_nibbles(four), scale, None, None, _GROUP, k)
    w4 = pack_weight(weight4, rows=m)
    eight = torch.randint(-127, 128, (n, k), generator=g).to(torch.int8)
    weight8 = Weight(8, eight, torch.rand(n, 1, generator=g).div_(64), None, None, k, k)
    w8 = pack_weight(weight8, rows=m)
    levels = Weight(4, pack_nibbles(four), scale, None, nf4(), _GROUP, k)
    w4_table = pack_weight(levels, rows=m)
    calls["w4a16 g64"] = lambda: w4(x)
    calls["w4a16 nf4"] = lambda: w4_table(x)
    calls["w8a16"] = lambda: w8(x)
    with using("off"):
        bare4, bare8 = pack_weight(weight4, rows=m), pack_weight(weight8, rows=m)
    if bare4.packed is not None and bare4.steps is not None:
        int4pack = partial(torch._weight_int4pack_mm_for_cpu, x, bare4.packed, _GROUP, bare4.steps)
        calls["bare int4pack"] = int4pack
    if bare8.packed is not None and bare8.steps is not None:
        calls["bare int8pack"] = partial(torch._weight_int8pack_mm, x, bare8.packed, bare8.steps)
    return calls
