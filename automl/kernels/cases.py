"""A case that every implementation of a kernel must answer like its reference."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING
from typing import Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence

__all__ = ["EXACT", "Bound", "Case", "mismatch", "output_bound", "run_case"]


@dataclass(frozen=True)
class Bound:
    """How far a result may lie from the reference: ``absolute + relative * |reference|``; zeros: nowhere."""

    absolute: float = 0.0
    relative: float = 0.0


EXACT = Bound()


def output_bound(absolute: float, out_dtype: torch.dtype, implementation: str) -> Bound:
    """Return ``absolute`` plus the rounding to the output type: half a step.

    Triton's interpreter cuts float32 to bfloat16 where devices round, so there it is a whole step.
    """
    cuts = implementation == "triton" and out_dtype == torch.bfloat16
    step, kind = 1.0 if cuts else 0.5, torch.finfo(out_dtype)
    # Below the smallest normal number steps no longer shrink with the number.
    return Bound(absolute + step * kind.tiny * kind.eps, step * kind.eps)


@dataclass(frozen=True)
class Case:
    """One call.

    Args:
        name: what is special about it.
        arguments: keyword arguments of every implementation's ``run``.
        bound: allowed distance.
        bounds: allowed distance of single implementations, where their arithmetic differs from the others.
    """

    name: str
    arguments: dict[str, Any]
    bound: Bound = EXACT
    bounds: dict[str, Bound] = field(default_factory=dict)

    def bound_of(self, implementation: str) -> Bound:
        """Return the allowed distance of one implementation."""
        return self.bounds.get(implementation, self.bound)


def _as_tuple(result: Any) -> Sequence[torch.Tensor]:
    return result if isinstance(result, tuple | list) else (result,)


def mismatch(result: Any, expected: Any, bound: Bound) -> str | None:
    """Return how ``result`` differs from ``expected`` (tensors or tuples of them), or None when it does not.

    NaN equals NaN. Types may differ when the reference is float64, which stands for the exact number.
    """
    got, want = _as_tuple(result), _as_tuple(expected)
    if len(got) != len(want):
        return f"{len(got)} results instead of {len(want)}"
    for index, (g, w) in enumerate(zip(got, want, strict=True)):
        if g.shape != w.shape:
            return f"result {index} has shape {tuple(g.shape)} instead of {tuple(w.shape)}"
        if g.dtype != w.dtype and w.dtype != torch.float64:
            return f"result {index} has type {g.dtype} instead of {w.dtype}"
        a, b = g.detach().cpu().double(), w.detach().cpu().double()
        near = (a == b) | (a.isnan() & b.isnan())
        near |= (a - b).abs() <= bound.absolute + bound.relative * b.abs()
        if not bool(near.all()):
            where = tuple(int(i) for i in (~near).nonzero()[0])
            return f"result {index} at {where} is {a[where].item()!r}, expected {b[where].item()!r}"
    return None


def run_case(
    case: Case, implementation: str, run: Callable[..., Any], reference: Callable[..., Any]
) -> str | None:
    """Return how the implementation fails the case, or None when it passes."""
    return mismatch(run(**case.arguments), reference(**case.arguments), case.bound_of(implementation))
