"""Who found what: hypervolume gained by each trial, and shares of the next proposals that follow it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from automl.core.dominance import nondominated_mask
from automl.strategies.acquisition_math import gains

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["duration_steps", "progress", "shares"]

#: How far beyond the worst feasible point the reference lies, as a share of the range.
_MARGIN = 0.1


def progress(
    points: NDArray[np.float64],
    violations: NDArray[np.float64],
    known: NDArray[np.float64],
    known_violations: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return what each trial of a batch added to what was known before it, in [0, 1]; shape (n,).

    Hypervolume of the feasible front as a share of the box from the best to beyond the worst feasible value
    of every objective, those of the batch included, so that units do not matter. A trial that is the first
    feasible one adds 1; before that a trial adds by which share it lowers the least violation.

    Args:
        points: of the batch, in order, (n, n_objectives), minimized.
        violations: (n,), 0 when feasible.
        known: before the batch, (m, n_objectives).
        known_violations: (m,).
    """
    everything = np.concatenate([known, points])[np.concatenate([known_violations, violations]) <= 0]
    low, high = everything.min(axis=0, initial=np.inf), everything.max(axis=0, initial=-np.inf)
    span = np.where(high > low, high - low, 1.0)
    front = (known[known_violations <= 0] - low) / span
    reference = np.full(points.shape[1], 1.0 + _MARGIN)
    least = float(known_violations.min(initial=np.inf))
    found = np.zeros(len(points))
    for row, violation in enumerate(violations):
        if violation <= 0:
            point = ((points[row] - low) / span)[None]
            added = float(gains(point, front, reference)[0] / np.prod(reference))
            found[row] = 1.0 if least > 0 else added
            front = np.concatenate([front, point])
            front = front[nondominated_mask(front)]
        elif violation < least < np.inf:
            found[row] = 1.0 - violation / least
        least = min(least, max(float(violation), 0.0))
    return found


def duration_steps(seconds: NDArray[np.float64], trials: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how long a member's trials take, as a power of two of the average; shape (n_members,).

    Rounded so that the noise of timing, which is well below a factor of the square root of two, changes
    nothing: the same seed then makes the same run. 1 for members without trials and where nothing took time.

    Args:
        seconds: total of each member.
        trials: number of each member's trials, fractional where old ones fade.
    """
    if seconds.sum() <= 0:
        return np.ones(len(seconds))
    average = seconds.sum() / trials.sum()
    known = (trials > 0) & (seconds > 0)
    ratio = np.where(known, seconds / np.where(known, trials, 1.0) / average, 1.0)
    return np.asarray(2.0 ** np.round(np.log2(ratio)), dtype=np.float64)


def shares(
    credit: NDArray[np.float64],
    trials: NDArray[np.float64],
    durations: NDArray[np.float64],
    *,
    floor: float,
) -> NDArray[np.float64]:
    """Return each member's share of the next proposals; shape (n_members,), sums to 1.

    A share is proportional to credit per trial and duration, above an equal ``floor`` for everybody. Members
    without trials count as good as the best, so that each is tried; all are equal while nobody has credit.

    Args:
        credit: sum of what each member's trials added, not negative.
        trials: number of each member's trials, fractional where old ones fade.
        durations: relative length of a trial, see :func:`duration_steps`.
        floor: the least share of one member, at most 1 / n_members.
    """
    n = len(credit)
    tried = trials > 0
    rate = np.where(tried, credit / np.where(tried, trials, 1.0) / durations, 0.0)
    rate = np.where(tried, rate, rate.max(initial=0.0))
    even = np.full(n, 1.0 / n)
    earned = rate / rate.sum() if rate.sum() > 0 else even
    return floor + (1.0 - n * floor) * earned
