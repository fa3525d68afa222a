"""Cases of ``w8a8_linear``: ragged shapes, strides, every epilogue, sums at the edge of int32."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from automl.kernels.cases import Bound
from automl.kernels.cases import Case
from automl.kernels.cases import output_bound
from automl.kernels.w8a8_linear.reference import LONGEST
from automl.kernels.w8a8_linear.reference import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["bound", "cases"]

_SHAPES = ((1, 1, 1), (1, 16, 8), (3, 7, 5), (17, 33, 19), (16, 64, 64), (33, 130, 70), (0, 24, 8))


def bound(arguments: dict[str, Any], implementation: str = "cpu") -> Bound:
    """Return the stated bound: six float32 roundings of the largest term and half an output step."""
    whole = run(**{**arguments, "bias": None, "residual": None, "activation": "none"}).abs()
    terms = [whole, *(t.double().abs() for t in (arguments["bias"], arguments["residual"]) if t is not None)]
    peak = sum(float(t.max()) if t.numel() else 0.0 for t in terms)
    # An activation adds the error of erf or exp, a few float32 steps.
    steps = 6 if arguments["activation"] in {"none", "relu"} else 16
    return output_bound(steps * 2.0**-24 * peak, arguments["out_dtype"], implementation)


def _arguments(shape: tuple[int, int, int], *, seed: int, tensor: bool = False) -> dict[str, Any]:
    rows, inner, columns = shape
    g = torch.Generator().manual_seed(seed)
    return {
        "x": torch.randint(-128, 128, (rows, inner), generator=g).to(torch.int8),
        "x_scale": torch.rand((), generator=g) if tensor else torch.rand(rows, generator=g),
        "w": torch.randint(-128, 128, (columns, inner), generator=g).to(torch.int8),
        "w_scale": torch.rand(columns, generator=g).div(64),
        "bias": None,
        "residual": None,
        "activation": "none",
        "out_dtype": torch.float32,
    }


def _bounded(name: str, arguments: dict[str, Any]) -> Case:
    return Case(name, arguments, bound(arguments), {"triton": bound(arguments, "triton")})


def cases() -> Iterator[Case]:
    """Yield the cases."""
    for index, shape in enumerate(_SHAPES):
        for tensor in (False, True):
            arguments = _arguments(shape, seed=index, tensor=tensor)
            yield _bounded(f"{shape}-{'tensor' if tensor else 'row'}", arguments)
    rows, inner, columns = 17, 33, 19
    g = torch.Generator().manual_seed(99)
    more = {"bias": torch.randn(columns, generator=g), "residual": torch.randn(rows, columns, generator=g)}
    for tensor in (False, True):
        plain = _arguments((rows, inner, columns), seed=5, tensor=tensor)
        for activation in ("none", "relu", "gelu", "silu"):
            for out_dtype in (torch.float32, torch.float16, torch.bfloat16):
                for extra in ({}, {"bias": more["bias"]}, more):
                    arguments = {**plain, **extra, "activation": activation, "out_dtype": out_dtype}
                    name = f"{activation}-{out_dtype}-{'+'.join(extra)}-{tensor}"
                    yield _bounded(name, arguments)
    plain = _arguments((rows, inner, columns), seed=6)
    strided = {**plain, "x": plain["x"].t().contiguous().t(), "w": plain["w"].t().contiguous().t()}
    strided["residual"] = more["residual"].t().contiguous().t()
    yield _bounded("strided", strided)
    # Unit scales leave the sum itself, which float32 holds exactly below 2^24.
    unit = {**plain, "x_scale": torch.tensor(1.0), "w_scale": torch.ones(columns)}
    yield Case("unit-scales", unit)
    edge = _arguments((1, LONGEST, 2), seed=7, tensor=True)
    edge["x"].fill_(-128)
    edge["w"].fill_(-128)
    edge.update(x_scale=torch.tensor(1.0), w_scale=torch.ones(2))
    yield Case("longest-sum", edge, Bound(relative=2.0**-24))
