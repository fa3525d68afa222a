"""Pure maths of the latency model: shrunken regressions, rank correlation, calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["huber_line", "kendall_tau", "mape", "ridge_loo", "winsorize"]

_RIDGES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)


def mape(predicted: NDArray[np.float64], measured: NDArray[np.float64]) -> float:
    """Return the mean absolute error relative to ``measured`` as a fraction."""
    return float(np.mean(np.abs(predicted - measured) / measured))


def kendall_tau(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return Kendall's tau-b of two vectors (n,); 0 when one of them is constant."""
    upper = np.triu_indices(len(a), 1)
    da = np.sign(a[:, None] - a[None, :])[upper]
    db = np.sign(b[:, None] - b[None, :])[upper]
    scale = np.sqrt(np.count_nonzero(da) * np.count_nonzero(db))
    return float((da * db).sum() / scale) if scale else 0.0


def winsorize(
    values: NDArray[np.float64], center: NDArray[np.float64], *, width: float = 3.5
) -> NDArray[np.float64]:
    """Return ``values`` clipped to ``width`` robust standard deviations of their distance from ``center``."""
    residual = values - center
    spread = 1.4826 * float(np.median(np.abs(residual - np.median(residual))))
    if spread <= 0:
        return values
    middle = float(np.median(residual))
    return center + np.clip(residual, middle - width * spread, middle + width * spread)


def ridge_loo(
    x: NDArray[np.float64], y: NDArray[np.float64], prior: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Fit ``y ~ x @ w`` with ``w`` shrunk towards ``prior``, the strength chosen by leave-one-out error.

    Args:
        x: (n, d), centered columns.
        y: (n,), centered.
        prior: (d,) coefficients that no data would leave in place.

    Returns:
        Coefficients (d,) and the leave-one-out mean squared error.
    """
    target = y - x @ prior
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    projected = u.T @ target
    best = (np.inf, prior)
    for ridge in _RIDGES:
        keep = s**2 / (s**2 + ridge)
        leverage = (u**2 * keep).sum(axis=1) + 1.0 / len(y)
        residual = target - u @ (keep * projected)
        error = float(np.mean((residual / np.maximum(1.0 - leverage, 0.05)) ** 2))
        if error < best[0]:
            best = (error, prior + vt.T @ (s / (s**2 + ridge) * projected))
    stay = float(np.mean((target / (1.0 - 1.0 / max(len(y), 2))) ** 2))
    return (prior, stay) if stay <= best[0] else (best[1], best[0])


def huber_line(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    share: NDArray[np.float64],
    *,
    strength: float = 0.02,
    rounds: int = 20,
) -> tuple[float, float, float]:
    """Return (offset, slope, tilt) of the robust fit ``offset + slope * x + tilt * x * (share - 1/2)``.

    It is shrunk towards the identity (0, 1, 0).

    Args:
        x: predictions (n,), positive.
        y: measurements (n,).
        share: share of sites with 8-bit activations (n,); the tilt takes out what local effects miss far from
            even mixes.
        strength: relative weight of the pull, as if ``strength * n`` further points lay on the identity at
            the largest x.
        rounds: reweighting rounds.
    """
    if len(x) == 0:
        return 0.0, 1.0, 0.0
    top = float(x.max())
    design = np.stack([np.ones_like(x), x, x * (share - 0.5)], axis=1)
    pull = strength * len(x) * np.diag([1.0, top**2, 0.1 * top**2])
    identity = np.array([0.0, 1.0, 0.0])
    beta = identity
    for _ in range(rounds):
        residual = y - design @ beta
        scale = 1.345 * max(1.4826 * float(np.median(np.abs(residual))), 1e-9 * top)
        weight = np.minimum(1.0, scale / np.maximum(np.abs(residual), 1e-12))
        left = design.T @ (weight[:, None] * design) + pull
        beta = np.linalg.solve(left, design.T @ (weight * y) + pull @ identity)
    return float(beta[0]), float(beta[1]), float(beta[2])
