"""Cases of ``nm_linear``: both patterns and types, ragged shapes, empty groups, scales."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import torch

from automl.kernels.cases import EXACT
from automl.kernels.cases import Case
from automl.kernels.cases import output_bound
from automl.kernels.nm_linear.nm_math import pack_nm
from automl.kernels.nm_linear.nm_math import prune_nm
from automl.kernels.nm_linear.reference import LONGEST
from automl.kernels.nm_linear.reference import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from automl.kernels.cases import Bound

__all__ = ["arguments_of", "bound", "cases", "longest"]

_SHAPES = ((1, 1, 1), (1, 16, 8), (3, 7, 5), (17, 33, 19), (16, 128, 64), (33, 150, 70), (0, 24, 8))


def bound(arguments: dict[str, Any], implementation: str = "triton") -> Bound:
    """Return the stated bound: a float32 rounding per term of the largest sum, half an output step."""
    if arguments["out_dtype"] == torch.int32:
        return EXACT
    sizes = {n: None if (t := arguments[n]) is None else t.double().abs() for n in ("x", "values", "bias")}
    whole = run(**{**arguments, **sizes, "out_dtype": torch.float64})
    terms = 5 + (0 if arguments["x"].dtype == torch.int8 else arguments["x"].shape[1])
    peak = float(whole.max()) if whole.numel() else 0.0
    return output_bound(terms * 2.0**-24 * peak, arguments["out_dtype"], implementation)


def arguments_of(
    shape: tuple[int, int, int],
    pattern: str,
    dtype: torch.dtype,
    *,
    seed: int,
    out_dtype: torch.dtype | None = None,
) -> dict[str, Any]:
    """Return a call without scales: (m, k, n); int8 codes give int32 sums by default."""
    rows, inner, columns = shape
    g = torch.Generator().manual_seed(seed)
    if dtype == torch.int8:
        x = torch.randint(-128, 128, (rows, inner), generator=g).to(dtype)
        w = torch.randint(-128, 128, (columns, inner), generator=g).to(dtype)
    else:
        x = torch.randn((rows, inner), generator=g).to(dtype)
        w = torch.randn((columns, inner), generator=g).to(dtype)
    # A few groups with less than their share.
    w[torch.rand(w.shape, generator=g) < 0.3] = 0
    values, mask = pack_nm(prune_nm(w, pattern), pattern)
    plain = torch.int32 if dtype == torch.int8 else torch.float32
    return {
        "x": x,
        "values": values,
        "mask": mask,
        "x_scale": None,
        "w_scale": None,
        "bias": None,
        "out_dtype": out_dtype or plain,
    }


def longest() -> dict[str, Any]:
    """Return the call whose sum is next to the end of int32; apart, because it is slow in the interpreter."""
    dense = torch.full((1, LONGEST), -128, dtype=torch.int8)
    arguments = arguments_of((1, 8, 1), "4:8", torch.int8, seed=0)
    arguments["x"] = dense.clone()
    arguments["values"], arguments["mask"] = pack_nm(prune_nm(dense, "4:8"), "4:8")
    return arguments


def cases() -> Iterator[Case]:
    """Yield the cases; int32 sums are exact."""
    for pattern in ("2:4", "4:8"):
        for dtype in (torch.float16, torch.bfloat16, torch.int8):
            for index, shape in enumerate(_SHAPES):
                arguments = arguments_of(shape, pattern, dtype, seed=index)
                yield Case(f"{pattern}-{dtype}-{shape}", arguments, bound(arguments))
            g = torch.Generator().manual_seed(5)
            more = {
                "x_scale": torch.rand(17, generator=g),
                "w_scale": torch.rand(19, generator=g).div(64),
                "bias": torch.randn(19, generator=g),
            }
            for out_dtype in (torch.float32, torch.float16, torch.bfloat16):
                arguments = {
                    **arguments_of((17, 33, 19), pattern, dtype, seed=9, out_dtype=out_dtype),
                    **more,
                }
                yield Case(f"{pattern}-{dtype}-scales-{out_dtype}", arguments, bound(arguments))
                arguments = {**arguments, "x_scale": torch.tensor(0.01), "bias": None}
                yield Case(f"{pattern}-{dtype}-one-scale-{out_dtype}", arguments, bound(arguments))
        strided = arguments_of((18, 70, 9), pattern, torch.float16, seed=3)
        for name in ("x", "values", "mask"):
            strided[name] = strided[name].t().contiguous().t()
        yield Case(f"{pattern}-strided", strided, bound(strided))
