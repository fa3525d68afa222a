"""Cases of the weight-only products: ragged shapes and groups, all kinds of levels, strides, epilogues."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from typing import Any

import torch

from automl.kernels.cases import Bound
from automl.kernels.cases import Case
from automl.kernels.cases import output_bound
from automl.kernels.weight_only.formats_math import FP4
from automl.kernels.weight_only.formats_math import nf4
from automl.kernels.weight_only.formats_math import pack_nibbles
from automl.kernels.weight_only.reference import dequantize
from automl.kernels.weight_only.weight import Weight

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["bound", "cases", "kinds", "make_arguments"]

#: (rows, inner, columns, group): ones, odd inner lengths, a short last group, groups of no power of two.
_SHAPES = (
    (1, 1, 1, 1),
    (1, 64, 32, 32),
    (3, 7, 5, 4),
    (2, 128, 16, 64),
    (17, 33, 19, 16),
    (5, 130, 70, 48),
    (33, 200, 24, 64),
    (4, 96, 16, 96),
    (0, 24, 8, 8),
)
_KINDS = ("symmetric", "asymmetric", "nf4", "fp4")


def _codes(bits: int, kind: str, shape: tuple[int, int], g: torch.Generator) -> torch.Tensor:
    if bits == 4:
        return pack_nibbles(torch.randint(0, 16, shape, generator=g))
    if kind == "symmetric":
        return torch.randint(-128, 128, shape, generator=g).to(torch.int8)
    return torch.randint(0, 256, shape, generator=g).to(torch.uint8)


def kinds(bits: int) -> tuple[str, ...]:
    """Return the kinds of levels that codes of this width take."""
    return _KINDS if bits == 4 else _KINDS[:2]


def _table(kind: str) -> torch.Tensor | None:
    if kind == "nf4":
        return nf4()
    return torch.tensor(FP4) if kind == "fp4" else None


def make_arguments(
    bits: int, shape: tuple[int, int, int, int], kind: str, seed: int, dtype: torch.dtype = torch.float32
) -> dict[str, Any]:
    """Return arguments of ``run`` with random values.

    Args:
        bits: 4 or 8.
        shape: rows, inner, columns, group.
        kind: ``symmetric``, ``asymmetric``, ``nf4`` or ``fp4``.
        seed: of the values.
        dtype: of input and output.
    """
    rows, inner, columns, group = shape
    g = torch.Generator().manual_seed(seed)
    groups = -(-inner // group)
    zero = torch.randint(0, 2**bits, (columns, groups), generator=g).to(torch.uint8)
    return {
        "x": torch.randn(rows, inner, generator=g).to(dtype),
        "codes": _codes(bits, kind, (columns, inner), g),
        "scale": torch.rand(columns, groups, generator=g).add_(0.1).to(dtype),
        "zero": zero if kind == "asymmetric" else None,
        "table": _table(kind),
        "group": group,
        "bias": None,
        "residual": None,
        "activation": "none",
    }


def bound(bits: int, arguments: dict[str, Any], implementation: str) -> Bound:
    """Return the stated bound: every product rounded once to the working type, sums in float32.

    Triton rounds weights to the type of ``x``; the CPU works in bfloat16, where the packed product rounds its
    offset ``(8 - zero) * scale`` as well.
    """
    a = arguments
    weight = Weight(bits, a["codes"], a["scale"], a["zero"], a["table"], a["group"], a["x"].shape[1])
    size = a["x"].double().abs() @ dequantize(weight).abs().t()
    if implementation == "cpu":
        steps = a["scale"].double()[:, torch.arange(weight.inner) // weight.group]
        size = size + a["x"].double().abs() @ (8 * steps).t()
    # Triton subtracts a zero from the sums, which are as large as the codes around the middle make them.
    unzeroed = (
        dequantize(replace(weight, zero=None)).abs() if a["zero"] is not None else dequantize(weight).abs()
    )
    sums = a["x"].double().abs() @ unzeroed.t()
    unit = torch.finfo(torch.bfloat16 if implementation == "cpu" else a["x"].dtype).eps
    # In bfloat16 input, weight and result are each rounded by half a unit; else the weight alone, by a whole
    # unit where the interpreter cuts.
    share = 2.0 if implementation == "cpu" else 1.0
    peak = float(size.max()) if size.numel() else 0.0
    extra = sum(
        float(t.double().abs().max()) for t in (a["bias"], a["residual"]) if t is not None and t.numel()
    )
    largest = max(peak, float(sums.max()) if sums.numel() else 0.0)
    absolute = peak * share * unit + 2 * largest * (weight.inner + 16) * 2.0**-24 + extra * 2.0**-21
    return output_bound(absolute, a["x"].dtype, implementation)


def cases(bits: int) -> Iterator[Case]:
    """Yield the cases."""

    def case(name: str, arguments: dict[str, Any]) -> Case:
        bounds = {which: bound(bits, arguments, which) for which in ("cpu", "triton")}
        return Case(name, arguments, bounds=bounds)

    for index, shape in enumerate(_SHAPES):
        for kind in kinds(bits):
            yield case(f"{shape}-{kind}", make_arguments(bits, shape, kind, seed=index))
    plain = make_arguments(bits, (17, 33, 19, 16), "asymmetric", seed=50)
    g = torch.Generator().manual_seed(51)
    more = {"bias": torch.randn(19, generator=g), "residual": torch.randn(17, 19, generator=g)}
    for activation in ("none", "relu", "gelu", "silu"):
        yield case(f"epilogue-{activation}", {**plain, **more, "activation": activation})
    for dtype in (torch.float16, torch.bfloat16):
        for kind in kinds(bits):
            yield case(f"{dtype}-{kind}", make_arguments(bits, (3, 100, 33, 32), kind, 52, dtype))
    strided = {**plain, "x": plain["x"].t().contiguous().t(), "scale": plain["scale"].t().contiguous().t()}
    yield case("strided", strided)
