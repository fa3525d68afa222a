"""Cases of ``block_sparse_linear``: block shapes, types, ragged edges, empty rows, full and empty lists."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import torch

from automl.kernels.block_sparse_linear.blocks_math import SHAPES
from automl.kernels.block_sparse_linear.blocks_math import pack_blocks
from automl.kernels.block_sparse_linear.blocks_math import prune_blocks
from automl.kernels.block_sparse_linear.reference import run
from automl.kernels.cases import Case
from automl.kernels.cases import output_bound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from automl.kernels.cases import Bound

__all__ = ["arguments_of", "bound", "cases"]

_SHAPES = ((1, 1, 1), (1, 16, 16), (3, 37, 50), (17, 64, 40), (33, 150, 70), (0, 24, 8))


def bound(arguments: dict[str, Any], implementation: str = "triton") -> Bound:
    """Return the stated bound: a float32 rounding per term of the largest sum of sizes, half an output step.

    On the CPU the product of half-precision operands is rounded to their type before the bias is added.
    """
    sizes = {n: None if (t := arguments[n]) is None else t.double().abs() for n in ("x", "blocks", "bias")}
    whole = run(**{**arguments, **sizes})
    peak = float(whole.max()) if whole.numel() else 0.0
    terms = (arguments["x"].shape[1] + 3) * 2.0**-24
    dtype = arguments["x"].dtype
    if implementation == "cpu" and dtype != torch.float32:
        terms += torch.finfo(dtype).eps
    return output_bound(terms * peak, arguments["out_dtype"], implementation)


def arguments_of(
    shape: tuple[int, int, int],
    size: tuple[int, int],
    dtype: torch.dtype,
    *,
    seed: int,
    sparsity: float = 0.6,
    out_dtype: torch.dtype = torch.float32,
) -> dict[str, Any]:
    """Return a call without bias: (m, k, n) and (height, width) of blocks."""
    rows, inner, outputs = shape
    g = torch.Generator().manual_seed(seed)
    weight = torch.randn((outputs, inner), generator=g).to(dtype)
    kept = pack_blocks(prune_blocks(weight, size, sparsity), size)
    return {
        "x": torch.randn((rows, inner), generator=g).to(dtype),
        "blocks": kept.blocks,
        "starts": kept.starts,
        "columns": kept.columns,
        "bias": None,
        "outputs": outputs,
        "out_dtype": out_dtype,
    }


def _case(name: str, arguments: dict[str, Any]) -> Case:
    return Case(name, arguments, bound(arguments), {"cpu": bound(arguments, "cpu")})


def cases() -> Iterator[Case]:
    """Yield the cases."""
    for size in SHAPES:
        for dtype in (torch.float32, torch.float16, torch.bfloat16):
            # Types share the addresses, so the ragged shapes are run in one of them.
            for index, shape in enumerate(_SHAPES if dtype == torch.float32 else _SHAPES[2:4]):
                yield _case(f"{size}-{dtype}-{shape}", arguments_of(shape, size, dtype, seed=index))
            g = torch.Generator().manual_seed(5)
            for out_dtype in (torch.float32, torch.float16, torch.bfloat16):
                arguments = arguments_of((17, 70, 50), size, dtype, seed=9, out_dtype=out_dtype)
                arguments["bias"] = torch.randn(50, generator=g)
                yield _case(f"{size}-{dtype}-bias-{out_dtype}", arguments)
        for sparsity in (0.0, 0.9, 1.0):
            arguments = arguments_of((18, 100, 90), size, torch.float32, seed=3, sparsity=sparsity)
            yield _case(f"{size}-sparsity-{sparsity}", arguments)
            arguments["x"] = arguments["x"].t().contiguous().t()
            yield _case(f"{size}-sparsity-{sparsity}-strided", arguments)
