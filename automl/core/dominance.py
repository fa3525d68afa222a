"""Pareto dominance, non-dominated sorting, crowding and constrained ranking on minimized objectives.

Reference: Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II", 2002. Crowding gives
infinity to both ends of a front and skips an objective whose range in the front is zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "constrained_order",
    "constrained_sort",
    "crowding_distance",
    "nondominated_mask",
    "nondominated_sort",
    "with_point",
]


def _dominates(points: NDArray[np.float64], violations: NDArray[np.float64] | None) -> NDArray[np.bool_]:
    """Return D with D[i, j] true when i dominates j; shape (n, n)."""
    n = len(points)
    less_equal, less = np.ones((n, n), dtype=bool), np.zeros((n, n), dtype=bool)
    # one objective at a time: an (n, n, n_objectives) array would be the largest thing in memory
    for column in points.T:
        less_equal &= column[:, None] <= column[None, :]
        less |= column[:, None] < column[None, :]
    by_objectives = less_equal & less
    if violations is None:
        return by_objectives
    excess = np.maximum(violations, 0.0)
    equal = excess[:, None] == excess[None, :]
    return np.where(equal, by_objectives, excess[:, None] < excess[None, :])


def with_point(front: NDArray[np.float64], point: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a front with one more point, without what it dominates; the front itself when it adds nothing.

    Args:
        front: (n, n_objectives), minimized; no row dominates or equals another.
        point: (n_objectives,).
    """
    if np.all(front <= point, axis=1).any():
        return front
    return np.concatenate([front[~np.all(point <= front, axis=1)], point[None]])


def nondominated_mask(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which rows no other row dominates; equal rows do not dominate each other.

    Args:
        points: (n, n_objectives), minimized.

    Returns:
        Boolean mask, shape (n,).
    """
    if len(points) == 0:
        return np.zeros(0, dtype=bool)
    order = np.lexsort(points.T[::-1])
    mask = np.ones(len(points), dtype=bool)
    kept: list[int] = []
    for index in order:
        if kept:
            others = points[kept]
            beaten = np.all(others <= points[index], axis=1) & np.any(others < points[index], axis=1)
            if beaten.any():
                mask[index] = False
                continue
        kept.append(int(index))
    return mask


def nondominated_sort(points: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the rank of each row, 0 for the first front; shape (n,)."""
    return constrained_sort(points, None)


def constrained_sort(
    points: NDArray[np.float64], violations: NDArray[np.float64] | None
) -> NDArray[np.int64]:
    """Return ranks under Deb's rule: feasible first, then smaller violation, then dominance.

    Args:
        points: (n, n_objectives), minimized.
        violations: (n,), total violation, <= 0 when feasible; None when unconstrained.

    Returns:
        Ranks from 0, shape (n,).
    """
    n = len(points)
    ranks = np.full(n, -1, dtype=np.int64)
    if n == 0:
        return ranks
    dominates = _dominates(points, violations)
    counts = dominates.sum(axis=0)
    current = np.flatnonzero(counts == 0)
    rank = 0
    while current.size:
        ranks[current] = rank
        counts = counts - dominates[current].sum(axis=0)
        counts[ranks >= 0] = -1
        current = np.flatnonzero(counts == 0)
        rank += 1
    return ranks


def crowding_distance(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the crowding distance of each row within one front; shape (n,), ends are infinite."""
    n, n_objectives = points.shape
    distance = np.zeros(n)
    if n <= 2:
        return np.full(n, np.inf)
    for k in range(n_objectives):
        order = np.argsort(points[:, k], kind="stable")
        column = points[order, k]
        span = column[-1] - column[0]
        if span > 0:
            distance[order[[0, -1]]] = np.inf
            distance[order[1:-1]] += (column[2:] - column[:-2]) / span
    return distance


def constrained_order(
    points: NDArray[np.float64], violations: NDArray[np.float64] | None
) -> NDArray[np.int64]:
    """Return row indices from best to worst by (constrained rank, descending crowding, index)."""
    ranks = constrained_sort(points, violations)
    crowding = np.zeros(len(points))
    for rank in np.unique(ranks):
        members = np.flatnonzero(ranks == rank)
        crowding[members] = crowding_distance(points[members])
    return np.lexsort((np.arange(len(points)), -crowding, ranks))
