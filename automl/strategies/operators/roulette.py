"""Mutation by roulette: a changed gene takes an option with a probability that falls with its price."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.strategies.operators.mutation import Genes

__all__ = ["RouletteMutation", "inverse_price_shares", "roulette_mutation"]


def inverse_price_shares(prices: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return p(option) proportional to 1 / price, (n_dimensions, largest count), 0 where there is no option.

    Args:
        prices: one array a dimension, (n_options,). A dimension with a price of zero or below is lifted as a
            whole, so that its cheapest option costs a tenth of the range (all the same where the range is 0).
    """
    shares = np.zeros((len(prices), max(len(row) for row in prices)))
    for row, price in enumerate(prices):
        lifted = np.asarray(price, dtype=np.float64)
        if lifted.min() <= 0:
            lifted = lifted - lifted.min() + (0.1 * np.ptp(lifted) or 1.0)
        weights = lifted.min() / lifted
        shares[row, : len(weights)] = weights / weights.sum()
    return shares


def roulette_mutation(
    codes: NDArray[np.int64],
    genes: Genes,
    rng: np.random.Generator,
    *,
    shares: NDArray[np.float64],
    expected: float = 1.0,
) -> NDArray[np.int64]:
    """Return codes with on average ``expected`` genes changed by roulette, at least one a row.

    Args:
        codes: (n, n_dimensions).
        genes: the dimensions.
        rng: source of chance.
        shares: probability of each option, (n_dimensions, largest count); of a gene that changes, the others'
            are scaled to one.
        expected: mean number of changed genes a row; each gene changes with ``expected / n_free``.
    """
    free = np.flatnonzero(genes.cardinalities > 1)
    changed = codes.copy()
    if free.size == 0 or len(codes) == 0:
        return changed
    chosen = np.zeros(codes.shape, dtype=bool)
    chosen[:, free] = rng.random((len(codes), free.size)) < expected / free.size
    chosen[np.arange(len(codes)), free[rng.integers(0, free.size, size=len(codes))]] = True
    rows, columns = np.nonzero(chosen)
    wheel = shares[columns]
    wheel[np.arange(len(rows)), codes[rows, columns]] = 0.0
    edges = np.cumsum(wheel, axis=1)
    drawn = (edges <= rng.random(len(rows))[:, None] * edges[:, -1:]).sum(axis=1)
    changed[rows, columns] = np.minimum(drawn, genes.cardinalities[columns] - 1)
    return changed


@dataclass(frozen=True, eq=False)
class RouletteMutation:
    """See :func:`roulette_mutation`."""

    shares: NDArray[np.float64]
    expected: float = 1.0

    def __call__(self, codes: NDArray[np.int64], genes: Genes, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return the changed codes."""
        return roulette_mutation(codes, genes, rng, shares=self.shares, expected=self.expected)
