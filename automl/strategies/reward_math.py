"""From measured losses to one reward: normalized quality, soft budgets, and what a point adds to a front."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from automl.core.dominance import nondominated_mask
from automl.core.indicators import hypervolume

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "adapted_exponent",
    "blended_moments",
    "joined_front",
    "soft_reward",
    "standard_scores",
    "volume_gains",
]


def blended_moments(
    mean: NDArray[np.float64], variance: NDArray[np.float64], points: NDArray[np.float64], kept: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and variance after ``points`` (n, k) joined with weight ``1 - kept``; both (k,)."""
    shift = points.mean(axis=0) - mean
    return (
        mean + (1 - kept) * shift,
        kept * variance + (1 - kept) * (points.var(axis=0) + kept * shift**2),
    )


def standard_scores(
    points: NDArray[np.float64],
    mean: NDArray[np.float64],
    variance: NDArray[np.float64],
    *,
    largest: float = 3.0,
) -> NDArray[np.float64]:
    """Return ``(mean - point) / deviation``, larger is better, clipped; 0 where nothing varies.

    Args:
        points: (n, k), minimized.
        mean: (k,).
        variance: (k,).
        largest: bound of a score; one outlier then cannot flatten the others.
    """
    deviation = np.sqrt(variance)
    varies = deviation > 1e-12 * np.maximum(np.abs(mean), 1e-300)
    return np.clip((mean - points) / np.where(varies, deviation, np.inf), -largest, largest)


def soft_reward(
    scores: NDArray[np.float64],
    weights: NDArray[np.float64],
    log_excess: NDArray[np.float64],
    exponents: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the logarithm of ``quality * product over budgets of (metric / limit) ** -exponent``, (n,).

    The quality is ``exp(weights . scores)``, positive as the product needs it, and a budget that is met
    contributes the factor 1. The logarithm keeps the order, the score's scale, and turns the product into a
    sum.

    Args:
        scores: (n, k), larger is better.
        weights: (n, k), how much each objective counts in each row; rows sum to 1.
        log_excess: (n, n_budgets), ``log(metric / limit)`` beyond the limit (for a lower limit the inverse
            ratio as 1 + relative shortfall), 0 within.
        exponents: (n_budgets,), at least 0.

    Reference:
        Tan et al., "MnasNet: Platform-Aware Neural Architecture Search for Mobile", arXiv 1807.11626:
        accuracy times (latency / target) ** w, here with w = 0 within the limit.
        Reconstruction: standard scores inside an exponential in the place of accuracy, several objectives
        and budgets, and the logarithm.
    """
    reward: NDArray[np.float64] = (weights * scores).sum(axis=1) - log_excess @ exponents
    return reward


def adapted_exponent(
    exponent: float, met: float, *, wanted: float, rate: float, bounds: tuple[float, float] = (0.1, 1e3)
) -> float:
    """Return the exponent raised while fewer than ``wanted`` of the episodes meet the budgets, else lowered.

    Args:
        exponent: current value.
        met: share of the latest episodes that meet every budget.
        wanted: share at which it rests.
        rate: logarithmic step.
        bounds: smallest and largest exponent.
    """
    return float(np.clip(exponent * np.exp(rate * (wanted - met)), *bounds))


def volume_gains(
    front: NDArray[np.float64], points: NDArray[np.float64], reference: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the hypervolume each row of ``points`` adds to ``front`` on its own; (n,), never negative.

    Args:
        front: (m, k), minimized; may be empty.
        points: (n, k).
        reference: (k,).
    """
    base = hypervolume(front, reference)
    gains = np.zeros(len(points))
    for row, point in enumerate(points):
        if not (front <= point).all(axis=1).any():
            gains[row] = max(hypervolume(np.concatenate([front, point[None]]), reference) - base, 0.0)
    return gains


def joined_front(front: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distinct non-dominated rows of both, (m, k)."""
    rows = np.unique(np.concatenate([front, points]), axis=0)
    kept: NDArray[np.float64] = rows[nondominated_mask(rows)]
    return kept
