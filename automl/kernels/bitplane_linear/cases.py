"""Cases of ``bitplane_linear``: every pair of bits, zero points, binary and balanced sets, scales."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import torch

from automl.kernels.bitplane_linear.planes_math import BALANCED
from automl.kernels.bitplane_linear.planes_math import code_range
from automl.kernels.bitplane_linear.planes_math import largest
from automl.kernels.bitplane_linear.planes_math import longest
from automl.kernels.bitplane_linear.planes_math import pack_planes
from automl.kernels.bitplane_linear.reference import run
from automl.kernels.cases import Case
from automl.kernels.cases import output_bound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from automl.kernels.cases import Bound

__all__ = ["arguments_of", "bound", "cases", "edges"]


def bound(arguments: dict[str, Any], implementation: str = "cpu") -> Bound:
    """Return the stated bound: five float32 roundings of the largest term and half an output step."""
    product = run(**{**arguments, "bias": None}).abs()
    bias = arguments["bias"]
    peak = sum(float(t.double().abs().max()) if t.numel() else 0.0 for t in (product, bias) if t is not None)
    return output_bound(5 * 2.0**-24 * peak, arguments["out_dtype"], implementation)


def _draw(shape: tuple[int, int], bits: int, kind: str, g: torch.Generator) -> torch.Tensor:
    low, high = code_range(bits, kind)
    codes = torch.randint(low, high + 1, shape, generator=g)
    if kind == "binary":
        codes = codes * 0 + torch.randint(0, 2, shape, generator=g) * 2 - 1
    return codes.to(torch.uint8 if kind == "unsigned" else torch.int8)


def arguments_of(
    shape: tuple[int, int, int],
    bits: tuple[int, int],
    kinds: tuple[str, str],
    *,
    seed: int,
    x_zero: bool = False,
    w_zero: bool = False,
) -> dict[str, Any]:
    """Return a call with int32 sums: (m, k, n), and bits and kinds as (input, weight)."""
    rows, inner, columns = shape
    g = torch.Generator().manual_seed(seed)
    low, high = code_range(bits[0], kinds[0])
    x_zeros = torch.randint(low, high + 1, (rows,), generator=g, dtype=torch.int32)
    low, high = code_range(bits[1], kinds[1])
    w_zeros = torch.randint(low, high + 1, (columns,), generator=g, dtype=torch.int32)
    return {
        "x": _draw((rows, inner), bits[0], kinds[0], g),
        "planes": pack_planes(_draw((columns, inner), bits[1], kinds[1], g), bits[1], kinds[1]),
        "x_scale": None,
        "w_scale": None,
        "x_zero": x_zeros if x_zero else None,
        "w_zero": w_zeros if w_zero else None,
        "bias": None,
        "x_bits": bits[0],
        "x_kind": kinds[0],
        "w_kind": kinds[1],
        "out_dtype": torch.int32,
    }


def _edge(x_kind: str, w_kind: str, *, zeros: bool) -> dict[str, Any]:
    """Return the longest call of 8-bit codes, all at the end of their range."""
    inner = longest(largest(8, x_kind, zero=zeros), largest(8, w_kind, zero=zeros))
    x_low, x_high = code_range(8, x_kind)
    w_low, w_high = code_range(8, w_kind)
    x_end, w_end = (x_high if x_kind == "unsigned" else x_low), (w_high if w_kind == "unsigned" else w_low)
    arguments = arguments_of((2, 1, 1), (8, 8), (x_kind, w_kind), seed=0)
    arguments["x"] = torch.full((2, inner), x_end, dtype=arguments["x"].dtype)
    arguments["planes"] = pack_planes(torch.full((1, inner), w_end), 8, w_kind)
    if zeros:
        # One row at the other end of the range: the largest difference of both signs.
        arguments["x"][1] = x_low if x_end == x_high else x_high
        arguments["x_zero"] = torch.tensor([x_low + x_high - x_end, x_end], dtype=torch.int32)
        arguments["w_zero"] = torch.tensor([w_low + w_high - w_end], dtype=torch.int32)
    return arguments


def edges() -> Iterator[Case]:
    """Yield sums at the end of int32; apart from the others, because Triton's interpreter takes minutes."""
    for x_kind, w_kind in (("unsigned", "unsigned"), ("signed", "signed"), ("unsigned", "signed")):
        for zeros in (False, True):
            yield Case(f"edge-{x_kind}-{w_kind}-{zeros}", _edge(x_kind, w_kind, zeros=zeros))


def cases() -> Iterator[Case]:
    """Yield the cases; int32 sums are exact."""
    for x_bits in range(1, 9):
        for w_bits in range(1, 9):
            kinds = ("unsigned", "signed") if (x_bits + w_bits) % 2 else ("signed", "unsigned")
            arguments = arguments_of(
                (3, 45, 18),
                (x_bits, w_bits),
                kinds,
                seed=8 * x_bits + w_bits,
                x_zero=True,
                w_zero=w_bits % 3 > 0,
            )
            yield Case(f"w{w_bits}a{x_bits}-zeros", arguments)
            if x_bits == w_bits:
                yield Case(f"w{w_bits}a{x_bits}", {**arguments, "x_zero": None, "w_zero": None})
    for kinds in (("binary", "binary"), ("binary", "signed"), ("unsigned", "binary"), ("signed", "binary")):
        bits = (1 if kinds[0] == "binary" else 4, 1 if kinds[1] == "binary" else 3)
        for index, shape in enumerate(((1, 1, 1), (5, 33, 7), (17, 64, 65), (2, 130, 40), (0, 9, 3))):
            yield Case(f"{kinds}-{shape}", arguments_of(shape, bits, kinds, seed=index))
    for levels, w_bits in BALANCED.items():
        arguments = arguments_of((4, 70, 21), (8, w_bits), ("unsigned", "signed"), seed=levels)
        g = torch.Generator().manual_seed(levels)
        half = (levels - 1) // 2
        codes = torch.randint(-half, half + 1, (21, 70), generator=g)
        yield Case(f"{levels}-levels", {**arguments, "planes": pack_planes(codes, w_bits, "signed")})
    plain = arguments_of((18, 70, 33), (4, 2), ("unsigned", "signed"), seed=3, x_zero=True)
    one = {"x_zero": torch.tensor(3, dtype=torch.int32)}
    yield Case("one-zero", {**plain, **one})
    turned = {
        "x": plain["x"].t().contiguous().t(),
        "planes": plain["planes"].transpose(1, 2).contiguous().transpose(1, 2),
    }
    yield Case("strided", {**plain, **turned})
    g = torch.Generator().manual_seed(4)
    scales = {"x_scale": torch.rand(18, generator=g), "w_scale": torch.rand(33, generator=g)}
    for out_dtype in (torch.float32, torch.float16, torch.bfloat16):
        for name, more in (
            ("scales", scales),
            ("scales-bias", {**scales, "bias": torch.randn(33, generator=g)}),
            ("one-scale", {**scales, "x_scale": torch.tensor(0.01)}),
            ("no-scale", {}),
        ):
            arguments = {**plain, **more, "out_dtype": out_dtype}
            yield Case(
                f"{name}-{out_dtype}", arguments, bound(arguments), {"triton": bound(arguments, "triton")}
            )
