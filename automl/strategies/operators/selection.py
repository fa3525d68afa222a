"""Who survives and who mates: constrained rank with crowding, and the tournament on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Protocol

import numpy as np

from automl.core.dominance import constrained_order

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "CrowdingSurvival",
    "FeasibleMating",
    "FocusedSurvival",
    "Mating",
    "Survival",
    "crowding_survival",
    "feasible_mating",
    "focused_survival",
    "tournament",
]


class Survival(Protocol):
    """Chooses who lives."""

    def __call__(
        self, points: NDArray[np.float64], violations: NDArray[np.float64], size: int
    ) -> NDArray[np.int64]:
        """Return the rows that live, best first, at most ``size``."""


class Mating(Protocol):
    """Draws parents from the living."""

    def __call__(
        self, violations: NDArray[np.float64], count: int, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Return ``count`` rows, repeats allowed; ``violations`` (n,) are those of the living, best first."""


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


def focused_survival(
    points: NDArray[np.float64],
    violations: NDArray[np.float64],
    size: int,
    *,
    focus: float = 0.5,
    spread: Survival | None = None,
) -> NDArray[np.int64]:
    """Return survivors of which a share is chosen by the first objective alone, best first.

    A budget turns one end of the front into the answer. Crowding keeps only the end itself there, while what
    improves it is bred from many candidates close to it; the reserved share keeps those.

    Args:
        points: (n, n_objectives), minimized; the first column is the quality.
        violations: (n,), total violation of the hard budgets; 0 when feasible.
        size: how many survive.
        focus: share of the survivors chosen by (violation, first objective); the others as by ``spread``.
            Both lists are interleaved, so a tournament favours the heads of both.
        spread: survival of the others; :func:`crowding_survival` when None.
    """
    order = (spread or crowding_survival)(points, violations, len(points))
    excess = np.maximum(violations, 0.0)
    corner = np.lexsort((np.argsort(order), points[:, 0], excess))
    if focus <= 0.0:
        return order[:size]
    if focus >= 1.0:
        return corner[:size]
    turn = np.arange(len(points))
    key = np.empty(len(points))
    key[order] = (turn + 1.0) / (1.0 - focus)
    corner_key = np.empty(len(points))
    corner_key[corner] = (turn + 1.0) / focus
    merged: NDArray[np.int64] = np.lexsort((corner_key, np.minimum(key, corner_key)))[:size]
    return merged


@dataclass(frozen=True)
class FocusedSurvival:
    """See :func:`focused_survival`."""

    focus: float = 0.5
    spread: Survival | None = None

    def __call__(
        self, points: NDArray[np.float64], violations: NDArray[np.float64], size: int
    ) -> NDArray[np.int64]:
        """Return the rows that live, best first, at most ``size``."""
        return focused_survival(points, violations, size, focus=self.focus, spread=self.spread)


def feasible_mating(
    violations: NDArray[np.float64], count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return ``count`` rows, each the less violating of two drawn members, the first of equals; (count,).

    Among feasible members this is a uniform draw: where survival alone spreads a front, a preference among
    its members would undo the spread.
    """
    first, second = rng.integers(0, len(violations), size=(2, count))
    excess = np.maximum(violations, 0.0)
    drawn: NDArray[np.int64] = np.where(excess[second] < excess[first], second, first)
    return drawn


@dataclass(frozen=True)
class FeasibleMating:
    """See :func:`feasible_mating`."""

    def __call__(
        self, violations: NDArray[np.float64], count: int, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Return the rows of the parents."""
        return feasible_mating(violations, count, rng)


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
