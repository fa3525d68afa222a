"""Regression of a metric on codes: a trend plus a Gaussian process whose kernels count shared options.

The kernels are the inner products of one-hot codes (each decision by itself), of one-hot pairs of
neighboring decisions, and of all pairs. They mix with weights that sum to 1, each decision weighs in by its
relevance, and the posterior is that of Bayesian ridge regression on those features.

Reference:
    Rasmussen, Williams, "Gaussian processes for machine learning", 2006, section 2.7 for the trend with a
    vague prior and section 5.4 for the marginal likelihood, here with the scale integrated out as s2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import solve_triangular

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["KernelShape", "Regression", "best_shape", "line", "option_kernels", "regress", "sharpened"]

_MIXES = (
    (1.0, 0.0, 0.0),
    (0.8, 0.2, 0.0),
    (0.5, 0.5, 0.0),
    (0.7, 0.15, 0.15),
    (0.4, 0.3, 0.3),
    (0.8, 0.0, 0.2),
    (0.5, 0.0, 0.5),
)
_NOISES = (1e-6, 1e-4, 1e-2, 0.1, 1.0)
#: Share of the relevance that stays spread evenly, so that no decision is switched off.
_EVEN = 0.1


@dataclass(frozen=True, eq=False)
class KernelShape:
    """What is chosen by the marginal likelihood.

    Args:
        weights: relevance of each decision, (n_dimensions,), not negative, sums to 1.
        mix: shares of the single, neighbor and pair kernels, sum to 1.
        noise: variance of the noise as a multiple of the kernel's.
    """

    weights: NDArray[np.float64]
    mix: tuple[float, ...]
    noise: float


def option_kernels(
    a: NDArray[np.int64], b: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return how alike codes are: by single decisions, by neighboring pairs, by all pairs; each in [0, 1].

    Args:
        a: (n, n_dimensions).
        b: (m, n_dimensions).
        weights: (n_dimensions,), sums to 1.

    Returns:
        Shape (3, n, m); 1 where the codes are equal.
    """
    single = np.zeros((len(a), len(b)))
    joint = np.sqrt(weights[:-1] * weights[1:])
    joint = joint / joint.sum() if joint.sum() > 0 else joint
    near = np.zeros_like(single)
    before = np.zeros(single.shape, dtype=bool)
    for column, weight in enumerate(weights):
        equal = a[:, column, None] == b[None, :, column]
        single += weight * equal
        if column:
            near += joint[column - 1] * (equal & before)
        before = equal
    return np.stack([single, near if joint.sum() > 0 else single, single**2])


def _mixed(kernels: NDArray[np.float64], mix: Sequence[float]) -> NDArray[np.float64]:
    total = np.zeros(kernels.shape[1:])
    for share, kernel in zip(mix, kernels, strict=True):
        if share > 0:
            total += share * kernel
    return total


@dataclass(frozen=True, eq=False)
class _Solved:
    """A factorized covariance with the trend fitted under it.

    Args:
        lower: Cholesky factor of covariance plus noise, (n, n).
        trend: coefficients, (n_trend,).
        whitened_trend: lower^-1 H, (n, n_trend).
        residual: lower^-1 (y - H trend), (n,).
        scale: s2, the variance of one unit of kernel.
        evidence: log marginal likelihood up to a constant.
    """

    lower: NDArray[np.float64]
    trend: NDArray[np.float64]
    whitened_trend: NDArray[np.float64]
    residual: NDArray[np.float64]
    scale: float
    evidence: float


def _solved(
    covariance: NDArray[np.float64], noise: float, design: NDArray[np.float64], values: NDArray[np.float64]
) -> _Solved:
    """Return the generalized least squares fit; the trend's coefficients have a flat prior."""
    noisy = covariance + noise * np.eye(len(values))
    lower = np.asarray(np.linalg.cholesky(noisy), dtype=np.float64)
    whitened = solve_triangular(lower, np.column_stack([design, values]), lower=True)
    trend_part, value_part = whitened[:, :-1], whitened[:, -1]
    trend = np.linalg.lstsq(trend_part, value_part, rcond=None)[0]
    residual = value_part - trend_part @ trend
    freedom = max(len(values) - design.shape[1], 1)
    scale = float(residual @ residual) / freedom
    gram = trend_part.T @ trend_part
    evidence = -0.5 * (
        freedom * np.log(max(scale, 1e-300)) + 2.0 * np.log(np.diag(lower)).sum() + np.linalg.slogdet(gram)[1]
    )
    return _Solved(lower, trend, trend_part, residual, scale, float(evidence))


@dataclass(frozen=True, eq=False)
class Regression:
    """A fitted regression.

    Args:
        shape: the kernel.
        codes: told, (n, n_dimensions).
        solved: the factorization.
    """

    shape: KernelShape
    codes: NDArray[np.int64]
    solved: _Solved

    def predict(
        self, codes: NDArray[np.int64], design: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and standard deviation of a measurement, noise included; both (n,).

        Args:
            codes: (n, n_dimensions).
            design: the trend's columns, (n, n_trend).
        """
        solved = self.solved
        cross = _mixed(option_kernels(self.codes, codes, self.shape.weights), self.shape.mix)
        whitened = solve_triangular(solved.lower, cross, lower=True)
        mean = design @ solved.trend + whitened.T @ solved.residual
        # what is not known of the trend: a far candidate is less certain than the kernel alone says
        left = design.T - solved.whitened_trend.T @ whitened
        gram = solved.whitened_trend.T @ solved.whitened_trend
        trend_part = (left * np.linalg.lstsq(gram, left, rcond=None)[0]).sum(axis=0)
        variance = 1.0 + self.shape.noise - (whitened**2).sum(axis=0) + trend_part
        return mean, np.sqrt(np.maximum(variance, 0.0) * solved.scale)


def regress(
    codes: NDArray[np.int64], values: NDArray[np.float64], design: NDArray[np.float64], shape: KernelShape
) -> Regression:
    """Return the regression of ``values`` (n,) on ``codes`` (n, n_dimensions) and ``design`` (n, n_trend)."""
    covariance = _mixed(option_kernels(codes, codes, shape.weights), shape.mix)
    return Regression(shape, codes, _solved(covariance, shape.noise, design, values))


def _likeliest(
    codes: NDArray[np.int64],
    values: NDArray[np.float64],
    design: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> Regression:
    kernels = option_kernels(codes, codes, weights)
    best: Regression | None = None
    for mix in _MIXES:
        covariance = _mixed(kernels, mix)
        for noise in _NOISES:
            solved = _solved(covariance, noise, design, values)
            if best is None or solved.evidence > best.solved.evidence:
                best = Regression(KernelShape(weights, mix, noise), codes, solved)
    if best is None:
        raise AssertionError("there is always a first mix")
    return best


def sharpened(regression: Regression) -> NDArray[np.float64]:
    """Return weights that follow the effects found: how far the options of a decision spread the mean.

    Decisions without effect keep a share of an even tenth. Shape (n_dimensions,), sums to 1.

    Reference:
        MacKay, "Bayesian non-linear modeling for the prediction competition", 1994: automatic relevance
        determination; here one step on the root of the effect's variance, since features come in groups.
    """
    solved, codes = regression.solved, regression.codes
    blame = solve_triangular(solved.lower, solved.residual, lower=True, trans="T")
    n_dimensions = codes.shape[1]
    spread = np.empty(n_dimensions)
    for column in range(n_dimensions):
        effects = np.bincount(codes[:, column], weights=blame)
        spread[column] = regression.shape.weights[column] * effects.std()
    total = spread.sum()
    even = np.full(n_dimensions, 1.0 / n_dimensions)
    return even if total <= 0 else (1.0 - _EVEN) * spread / total + _EVEN * even


def best_shape(
    codes: NDArray[np.int64],
    values: NDArray[np.float64],
    design: NDArray[np.float64],
    starts: Sequence[NDArray[np.float64]],
    *,
    steps: int = 2,
) -> KernelShape:
    """Return the shape with the largest marginal likelihood among mixes, noises and relevances.

    Args:
        codes: (n, n_dimensions).
        values: (n,).
        design: (n, n_trend).
        starts: relevances to start from, each (n_dimensions,).
        steps: times the relevances of each start are sharpened.
    """
    best: Regression | None = None
    for start in starts:
        weights = start
        for step in range(steps + 1):
            found = _likeliest(codes, values, design, weights)
            if best is None or found.solved.evidence > best.solved.evidence:
                best = found
            if step < steps:
                weights = sharpened(found)
    if best is None:
        raise AssertionError("there is at least one start")
    return best.shape


def line(base: NDArray[np.float64] | None, values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return (intercept, slope, standard deviation of the rest) of ``values`` on ``base``, both (n,).

    The slope is 0 without base or where the base does not vary.
    """
    slope = 0.0
    if base is not None and base.std() > 0:
        slope = float(((base - base.mean()) * (values - values.mean())).mean() / base.var())
    intercept = float(values.mean() - slope * (base.mean() if base is not None else 0.0))
    rest = values - intercept - slope * (base if base is not None else 0.0)
    return intercept, slope, float(rest.std())
