"""What a batch of predicted candidates promises: hypervolume it may add, times the chance to be feasible."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

from automl.core.dominance import nondominated_mask
from automl.core.indicators import hypervolume

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["chosen_batch", "feasible_chance", "gains"]

#: A predicted excess up to this is rounding: a sum may exceed a limit that it equals on paper.
_ROUNDING = 1e-9


def feasible_chance(excess: NDArray[np.float64], spread: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probability that every budget is met, budgets independent; shape (n,).

    Args:
        excess: expected excess, (n, n_budgets), not positive when met.
        spread: its standard deviation, (n, n_budgets); where it is 0 the chance is 0 or 1.
    """
    certain = (excess <= _ROUNDING).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        chance = np.where(spread > 0, ndtr(-excess / spread), certain)
    product: NDArray[np.float64] = chance.prod(axis=1)
    return product


def gains(
    points: NDArray[np.float64], front: NDArray[np.float64], reference: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return how much hypervolume each point adds to ``front`` by itself; shape (n,).

    Args:
        points: (n, n_objectives), minimized.
        front: (m, n_objectives), possibly empty.
        reference: (n_objectives,).
    """
    if len(reference) == 1:
        best = min(float(front.min(initial=np.inf)), float(reference[0]))
        return np.maximum(best - points[:, 0], 0.0)
    before = hypervolume(front, reference)
    found = np.zeros(len(points))
    inside = (points < reference).all(axis=1)
    if len(front):
        covered: NDArray[np.bool_] = np.all(front[None, :, :] <= points[:, None, :], axis=2)
        inside &= ~covered.any(axis=1)
    for row in np.flatnonzero(inside):
        found[row] = hypervolume(np.vstack([front, points[row]]), reference) - before
    return found


def chosen_batch(
    points: NDArray[np.float64],
    chance: NDArray[np.float64],
    front: NDArray[np.float64],
    reference: NDArray[np.float64],
    count: int,
) -> NDArray[np.int64]:
    """Return up to ``count`` rows, each the one that promises most once those before it are on the front.

    A row that promises nothing is not chosen, so fewer may come back.

    Args:
        points: predicted objectives, (n, n_objectives), minimized.
        chance: probability to be feasible, (n,).
        front: feasible points that were measured, (m, n_objectives).
        reference: (n_objectives,).
        count: at most this many.
    """
    rows: list[int] = []
    promise = gains(points, front, reference) * chance
    while len(rows) < count:
        best = int(np.argmax(promise)) if len(promise) else 0
        if not len(promise) or promise[best] <= 0:
            break
        rows.append(best)
        front = np.vstack([front, points[best]])
        front = front[nondominated_mask(front)]
        # a promise only shrinks as the front grows, so most rows keep a bound that is too small to matter
        promise[best] = 0.0
        promise = _refreshed(promise, points, chance, front, reference)
    return np.array(rows, dtype=np.int64)


def _refreshed(
    promise: NDArray[np.float64],
    points: NDArray[np.float64],
    chance: NDArray[np.float64],
    front: NDArray[np.float64],
    reference: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return promises against a larger front: exact for the best, bounds from before for the others."""
    fresh = np.zeros(len(promise))
    best = 0.0
    for row in np.argsort(-promise, kind="stable"):
        if promise[row] <= best:
            fresh[row] = promise[row]
            continue
        fresh[row] = float(gains(points[row][None], front, reference)[0]) * chance[row]
        best = max(best, fresh[row])
    return fresh
