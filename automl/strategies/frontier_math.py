"""The merge-frontier dynamic program: the whole quality-cost front of an additive problem.

Reference:
    "Patch-wise Mixed-Precision Quantization of Vision Transformer", arXiv 2305.06559, allocates bits on
    such a front; the program itself (merge one dimension at a time, prune what is dominated) is that of
    Nemhauser and Ullmann, "Discrete dynamic programming and capital allocation", 1969.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from automl.core.errors import StrategyError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Frontier", "frontier"]


@dataclass(frozen=True, eq=False)
class Frontier:
    """The non-dominated points of an additive problem, cheapest first.

    Args:
        values: (n_points,), strictly decreasing.
        costs: (n_points,), strictly increasing.
        parents: one array a dimension: position of each kept point's predecessor in the stage before.
        choices: one array a dimension: the option each kept point took there.
        exact: whether no point was dropped by binning.
    """

    values: NDArray[np.float64]
    costs: NDArray[np.float64]
    parents: tuple[NDArray[np.int32], ...]
    choices: tuple[NDArray[np.int32], ...]
    exact: bool

    def __len__(self) -> int:
        return len(self.values)

    def codes(self, index: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """Return the codes of the points at ``index`` (all by default), shape (n, n_dimensions)."""
        at: NDArray[np.integer[Any]] = np.arange(len(self)) if index is None else np.asarray(index)
        codes = np.empty((len(at), len(self.choices)), dtype=np.int64)
        for column in reversed(range(len(self.choices))):
            codes[:, column] = self.choices[column][at]
            at = self.parents[column][at]
        return codes

    def best_within(self, limit: float) -> int | None:
        """Return the position of the least value at cost <= ``limit``; None when nothing is that cheap."""
        position = int(np.searchsorted(self.costs, limit, side="right")) - 1
        return position if position >= 0 else None


def frontier(
    values: Sequence[NDArray[np.float64]],
    costs: Sequence[NDArray[np.float64]],
    *,
    max_bins: int | None = None,
) -> Frontier:
    """Return the front of ``sum values[i][x_i]`` against ``sum costs[i][x_i]``, both minimized.

    Args:
        values: one array a dimension, (n_options,).
        costs: one array a dimension, (n_options,), the same shapes.
        max_bins: with more points than this after a merge, the cost range is cut into equal bins and each
            keeps its point of least value. Costs and values of what is kept stay exact, so no answer breaks a
            limit; only optimality is lost. None keeps every point: exact, and exponential at worst.

    Raises:
        StrategyError: shapes differ, a price is not finite, or ``max_bins`` is below 2.
    """
    _check(values, costs, max_bins)
    front_values, front_costs = np.zeros(1), np.zeros(1)
    parents: list[NDArray[np.int32]] = []
    choices: list[NDArray[np.int32]] = []
    exact = True
    for option_values, option_costs in zip(values, costs, strict=True):
        n = len(front_values)
        # option-major: each option's run is sorted already, which the stable sort makes use of
        merged_costs = (option_costs[:, None] + front_costs[None, :]).ravel()
        merged_values = (option_values[:, None] + front_values[None, :]).ravel()
        kept = _prune(merged_values, merged_costs)
        if max_bins is not None and len(kept) > max_bins:
            kept = _bin(kept, merged_costs, max_bins)
            exact = False
        front_values, front_costs = merged_values[kept], merged_costs[kept]
        parents.append((kept % n).astype(np.int32))
        choices.append((kept // n).astype(np.int32))
    return Frontier(front_values, front_costs, tuple(parents), tuple(choices), exact)


def _prune(values: NDArray[np.float64], costs: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the positions of the non-dominated points by increasing cost; of equal points the first."""
    order = np.argsort(costs, kind="stable")
    sorted_costs = costs[order]
    if (sorted_costs[1:] == sorted_costs[:-1]).any():
        order = np.lexsort((values, costs))
    sorted_values = values[order]
    best_before = np.minimum.accumulate(sorted_values)
    kept = np.ones(len(order), dtype=bool)
    kept[1:] = sorted_values[1:] < best_before[:-1]
    pruned: NDArray[np.int64] = order[kept]
    return pruned


def _bin(kept: NDArray[np.int64], costs: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """Return the dearest, so best, point of each of ``bins`` - 1 cost bins, and the cheapest of all."""
    of_kept = costs[kept]
    span = of_kept[-1] - of_kept[0]
    place = np.minimum(((of_kept - of_kept[0]) / span * (bins - 1)).astype(np.int64), bins - 2)
    last = np.append(place[1:] != place[:-1], True)
    last[0] = True
    binned: NDArray[np.int64] = kept[last]
    return binned


def _check(
    values: Sequence[NDArray[np.float64]], costs: Sequence[NDArray[np.float64]], max_bins: int | None
) -> None:
    shapes = [np.shape(v) for v in values]
    if shapes != [np.shape(c) for c in costs] or any(len(s) != 1 or s[0] == 0 for s in shapes):
        raise StrategyError(
            "values and costs must list the same options for each dimension, at least one; "
            f"got {len(shapes)} and {len(costs)} dimensions with shapes {shapes[:4]} ..."
        )
    if not all(np.isfinite(a).all() for a in (*values, *costs)):
        raise StrategyError("a price is not finite; every option needs a finite value and cost")
    if max_bins is not None and max_bins < 2:
        raise StrategyError(f"max_bins must be at least 2, got {max_bins}; 4096 is a good start")
