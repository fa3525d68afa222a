"""Who survives and who mates: constrained rank with crowding, and the tournament on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Protocol

import numpy as np

from automl.core.dominance import constrained_order

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CrowdingSurvival", "Survival", "crowding_survival", "tournament"]


class Survival(Protocol):
    """Chooses who lives."""

    def __call__(
        self, points: NDArray[np.float64], violations: NDArray[np.float64], size: int
    ) -> NDArray[np.int64]:
        """Return the rows that live, best first, at most ``size``."""


def crowding_survival(
    points: NDArray[np.float64], violations: NDArray[np.float64], size: int
) -> NDArray[np.int64]:
    """Return the rows that survive, best first by (Deb's constrained rank, crowding distance, index).

    Args:
        points: (n, n_objectives), minimized.
        violations: (n,), total violation of the hard budgets; 0 when feasible.
        size: how many survive.

    Reference:
        Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II", 2002. Rows with equal
        objectives are thinned first: all but the first of them come last within their rank.
    """
    order = constrained_order(points, violations)
    feasible = np.maximum(violations, 0.0)
    keys = np.column_stack([points, feasible])[order]
    _, first = np.unique(keys, axis=0, return_index=True)
    if len(first) == len(order) or len(order) <= size:
        return order[:size]
    repeated = np.ones(len(order), dtype=bool)
    repeated[first] = False
    distinct = order[~repeated]
    return np.concatenate([distinct, order[repeated]])[:size]


@dataclass(frozen=True)
class CrowdingSurvival:
    """See :func:`crowding_survival`."""

    def __call__(
        self, points: NDArray[np.float64], violations: NDArray[np.float64], size: int
    ) -> NDArray[np.int64]:
        """Return the rows that live, best first, at most ``size``."""
        return crowding_survival(points, violations, size)


def tournament(
    n_members: int, count: int, rng: np.random.Generator, *, pressure: int = 2
) -> NDArray[np.int64]:
    """Return ``count`` winners of tournaments among members sorted best first; shape (count,).

    Args:
        n_members: size of the population, at least 1.
        count: number of tournaments.
        rng: source of chance.
        pressure: members drawn a tournament, with replacement; the best (lowest position) wins.
    """
    winners: NDArray[np.int64] = rng.integers(0, n_members, size=(count, pressure)).min(axis=1)
    return winners
