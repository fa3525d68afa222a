"""The action wall: lower decisions of a code from its last one on until its price is within the budgets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from automl.searchspaces.space import SearchSpace
    from automl.strategies.base import AdditiveTables

__all__ = ["PriceWall"]

#: What budgets grant to rounding.
_ROUNDING = 1e-9


class PriceWall:
    """Keeps codes within limits on their additive prices.

    Args:
        space: the space; its conditions are repaired before a code is priced.
        tables: additive prices, pair terms included.
        limits: metric -> largest price, at least one; every metric must be priced.
        anchor: a code within the limits to fall back to, (n_dimensions,), None when there is none: codes then
            may stay beyond the limits.

    Reference:
        Wang et al., "HAQ: Hardware-Aware Automated Quantization with Mixed Precision", arXiv 1811.08886: walk
        the layers from the last and lower each by one until the cost is met, again and again. Deviations:
        lower is what costs less here, whatever the order of the options; several limits are summed as
        fractions; and what walking cannot mend takes the anchor's decisions from the last one on.
    """

    def __init__(
        self,
        space: SearchSpace,
        tables: AdditiveTables,
        limits: Mapping[str, float],
        anchor: NDArray[np.int64] | None = None,
    ) -> None:
        self._space = space
        self._tables = tables
        self._limits = dict(limits)
        self._anchor = anchor
        self._largest = int(space.cardinalities.max())
        self._single = {m: _padded(tables.unary[m], self._largest) for m in self._limits}
        self._pairs = {m: self._partners(m) for m in self._limits}

    def excess(self, codes: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return by which fractions of the limits the prices of repaired ``codes`` exceed them, summed."""
        total = np.zeros(len(codes))
        for metric, limit in self._limits.items():
            over = (self._tables.predict(metric, codes) - limit) / (abs(limit) or 1.0)
            total += np.where(over > _ROUNDING, over, 0.0)
        return total

    def lowered(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return repaired codes within the limits, (n, n_dimensions); those that are stay as they are."""
        walked = self._space.repair(codes)
        beyond = np.flatnonzero(self.excess(walked) > 0)
        for _ in range(self._largest):
            if beyond.size == 0:
                return walked
            before = walked[beyond]
            walked[beyond] = self._space.repair(self._swept(before))
            if np.array_equal(walked[beyond], before):
                break
            beyond = beyond[self.excess(walked[beyond]) > 0]
        if self._anchor is not None:
            for row in beyond[self.excess(walked[beyond]) > 0]:
                walked[row] = self._anchored(walked[row])
        return walked

    def _partners(self, metric: str) -> list[list[tuple[int, NDArray[np.float64]]]]:
        """Return for each dimension its partners with prices (options of the partner, own options)."""
        found: list[list[tuple[int, NDArray[np.float64]]]] = [[] for _ in range(len(self._space))]
        for (i, j), values in self._tables.pairwise.get(metric, {}).items():
            found[i].append((j, values.T))
            found[j].append((i, values))
        return found

    def _prices(self, metric: str, codes: NDArray[np.int64], t: int, count: int) -> NDArray[np.float64]:
        """Return what each option of dimension ``t`` costs given the others, (n, count), up to a constant."""
        prices = np.broadcast_to(self._single[metric][t, :count], (len(codes), count))
        for other, values in self._pairs[metric][t]:
            prices = prices + values[codes[:, other]]
        return prices

    def _swept(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return codes after one walk from the last dimension to the first, a step a dimension."""
        codes = codes.copy()
        rows = np.arange(len(codes))
        totals = {m: self._tables.predict(m, codes) for m in self._limits}
        for t in range(len(self._space) - 1, -1, -1):
            count = int(self._space.cardinalities[t])
            if count == 1:
                continue
            over, level = np.zeros((len(codes), count)), np.zeros((len(codes), count))
            after = {}
            for metric, limit in self._limits.items():
                prices = self._prices(metric, codes, t, count)
                after[metric] = totals[metric][:, None] + prices - prices[rows, codes[:, t], None]
                share = (after[metric] - limit) / (abs(limit) or 1.0)
                over += np.where(share > _ROUNDING, share, 0.0)
                level += share
            now = over[rows, codes[:, t]]
            lower = over < now[:, None]
            # the smallest step down: of what is lower the one that stays highest
            step = np.where(lower, over + 1e-6 * (level - level.min(axis=1, keepdims=True)), -np.inf)
            codes[:, t] = np.where(lower.any(axis=1), step.argmax(axis=1), codes[:, t])
            totals = {m: values[rows, codes[:, t]] for m, values in after.items()}
            if (over[rows, codes[:, t]] == 0).all():
                break
        return codes

    def _anchored(self, code: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the code that keeps as many leading decisions as the anchor's remaining ones allow."""
        assert self._anchor is not None
        n = len(code)
        taken = np.arange(n)[None, :] >= np.arange(n, -1, -1)[:, None]
        mixed = self._space.repair(np.where(taken, self._anchor, code))
        within: NDArray[np.int64] = np.flatnonzero(self.excess(mixed) == 0)
        kept: NDArray[np.int64] = mixed[within[0] if within.size else -1]
        return kept


def _padded(rows: tuple[NDArray[np.float64], ...], width: int) -> NDArray[np.float64]:
    table = np.full((len(rows), width), np.inf)
    for index, row in enumerate(rows):
        table[index, : len(row)] = row
    return table
