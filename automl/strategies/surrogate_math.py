"""Regression of a metric on codes: a trend plus a Gaussian process whose kernels count shared options.

The kernels are those of :class:`~automl.strategies.code_kernels_math.CodeKernels`. They mix, each decision
weighs in by its relevance, and the posterior is that of Bayesian ridge regression on their features.

Reference:
    Rasmussen, Williams, "Gaussian processes for machine learning", 2006, section 2.7 for the trend with a
    vague prior and section 5.4 for the marginal likelihood, here with the scale integrated out as s2.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import solve_triangular

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.strategies.code_kernels_math import CodeKernels

__all__ = ["KernelShape", "Regression", "best_fit", "line", "regress", "sharpened"]

Mix = tuple[float, float, float, float]

_MIXES: tuple[tuple[float, float, float], ...] = (
    (1.0, 0.0, 0.0),
    (0.8, 0.2, 0.0),
    (0.5, 0.5, 0.0),
    (0.7, 0.15, 0.15),
    (0.4, 0.3, 0.3),
    (0.8, 0.0, 0.2),
    (0.5, 0.0, 0.5),
)
#: Share of the kernel of use beside the others.
_USES = (0.0, 0.3, 3.0)
_NOISES = (1e-6, 1e-4, 1e-2, 0.1, 1.0)
#: Share of the relevance that stays spread evenly, so that no decision is switched off.
_EVEN = 0.1


@dataclass(frozen=True, eq=False)
class KernelShape:
    """What is chosen by the marginal likelihood.

    Args:
        weights: relevance of each decision, (n_dimensions,), not negative, sums to 1.
        mix: shares of the kernels of single decisions, neighbors and pairs, which sum to 1, and of use.
        noise: variance of the noise as a multiple of the kernel's.
    """

    weights: NDArray[np.float64]
    mix: Mix
    noise: float


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

    @cached_property
    def inverse(self) -> NDArray[np.float64]:
        """Inverse of ``lower``: predicting many codes by products is cheaper than by as many solutions."""
        return np.asarray(solve_triangular(self.lower, np.eye(len(self.lower)), lower=True))


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
        kernels: of the space.
        shape: what is chosen of them.
        codes: told, (n, n_dimensions).
        solved: the factorization.
    """

    kernels: CodeKernels
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
        solved, weights, mix = self.solved, self.shape.weights, self.shape.mix
        whitened = solved.inverse @ self.kernels.mixed(self.codes, codes, weights, mix)
        mean = design @ solved.trend + whitened.T @ solved.residual
        # what is not known of the trend: a far candidate is less certain than the kernel alone says
        left = design.T - solved.whitened_trend.T @ whitened
        gram = solved.whitened_trend.T @ solved.whitened_trend
        trend_part = (left * np.linalg.lstsq(gram, left, rcond=None)[0]).sum(axis=0)
        own = self.kernels.diagonal(codes, weights, mix)
        variance = own + self.shape.noise - np.einsum("ij,ij->j", whitened, whitened) + trend_part
        return mean, np.sqrt(np.maximum(variance, 0.0) * solved.scale)


def regress(
    kernels: CodeKernels,
    codes: NDArray[np.int64],
    values: NDArray[np.float64],
    design: NDArray[np.float64],
    shape: KernelShape,
) -> Regression:
    """Return the regression of ``values`` (n,) on ``codes`` (n, n_dimensions) and ``design`` (n, n_trend)."""
    covariance = kernels.mixed(codes, codes, shape.weights, shape.mix)
    return Regression(kernels, shape, codes, _solved(covariance, shape.noise, design, values))


def _likeliest(
    kernels: CodeKernels,
    codes: NDArray[np.int64],
    values: NDArray[np.float64],
    design: NDArray[np.float64],
    start: KernelShape,
) -> Regression:
    """Return the likeliest mix and noise for the relevances of ``start``; one is moved at a time, twice."""
    parts = kernels(codes, codes, start.weights)
    tried: dict[tuple[Mix, float], _Solved] = {}

    def solution(mix: Mix, noise: float) -> _Solved:
        if (mix, noise) not in tried:
            covariance = np.tensordot(np.array(mix), parts, axes=1)
            tried[mix, noise] = _solved(covariance, noise, design, values)
        return tried[mix, noise]

    def evidence(place: tuple[Mix, float]) -> float:
        return solution(*place).evidence

    mix, noise = start.mix, start.noise
    for _ in range(2):
        mix, noise = max([(mix, noise), *((mix, n) for n in _NOISES)], key=evidence)
        mix, noise = max([(mix, noise), *(((*m, mix[3]), noise) for m in _MIXES)], key=evidence)
        mix, noise = max([(mix, noise), *(((*mix[:3], u), noise) for u in _USES)], key=evidence)
    return Regression(kernels, KernelShape(start.weights, mix, noise), codes, solution(mix, noise))


def sharpened(regression: Regression) -> NDArray[np.float64]:
    """Return weights that follow the effects found: how far the options of a decision spread the mean.

    Decisions without effect keep a share of an even tenth. Shape (n_dimensions,), sums to 1.

    Reference:
        MacKay, "Bayesian non-linear modeling for the prediction competition", 1994: automatic relevance
        determination; here one step on the root of the effect's variance, since features come in groups.
    """
    solved, codes, kernels = regression.solved, regression.codes, regression.kernels
    weights, mix = regression.shape.weights, regression.shape.mix
    blame = solved.inverse.T @ solved.residual
    common = np.append(mix[3] * (kernels.use(codes, weights).T @ blame), 0.0)
    n_dimensions = codes.shape[1]
    spread = np.empty(n_dimensions)
    first = 0
    for column, count in enumerate(kernels.cardinalities.tolist()):
        own = np.bincount(codes[:, column], weights=blame, minlength=count) * weights[column]
        shared = common[kernels.groups[first : first + count]] * np.sqrt(weights[column])
        spread[column] = (sum(mix[:3]) * own + shared).std()
        first += count
    total = spread.sum()
    even = np.full(n_dimensions, 1.0 / n_dimensions)
    return even if total <= 0 else (1.0 - _EVEN) * spread / total + _EVEN * even


def best_fit(
    kernels: CodeKernels,
    codes: NDArray[np.int64],
    values: NDArray[np.float64],
    design: NDArray[np.float64],
    starts: Sequence[NDArray[np.float64]],
    *,
    steps: int = 2,
) -> Regression:
    """Return the fit with the largest marginal likelihood among mixes, noises and relevances.

    Args:
        kernels: of the space.
        codes: (n, n_dimensions).
        values: (n,).
        design: (n, n_trend).
        starts: relevances to start from, each (n_dimensions,).
        steps: times the relevances of each start are sharpened.
    """
    fits: list[Regression] = []
    for start in starts:
        shape = KernelShape(start, (*_MIXES[0], _USES[0]), _NOISES[2])
        for step in range(steps + 1):
            fits.append(_likeliest(kernels, codes, values, design, shape))
            if step < steps:
                shape = replace(fits[-1].shape, weights=sharpened(fits[-1]))
    return max(fits, key=lambda fit: fit.solved.evidence)


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
