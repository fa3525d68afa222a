"""The learned prediction of every metric a search compares: plain prediction plus learned residual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from automl.core.errors import StrategyError
from automl.strategies.calibration import TWO_SIDED_95
from automl.strategies.calibration import CalibrationRecord
from automl.strategies.code_kernels_math import CodeKernels
from automl.strategies.forecast import Forecast
from automl.strategies.forecast import MetricScale
from automl.strategies.surrogate_math import KernelShape
from automl.strategies.surrogate_math import best_fit
from automl.strategies.surrogate_math import line
from automl.strategies.surrogate_math import regress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from automl.strategies.base import Problem
    from automl.strategies.surrogate_math import Regression

__all__ = ["MetricModel", "ModelSettings", "SurrogateModel", "compared_metrics", "plain_predictions"]

#: Codes priced at once: their number times the dimensions is what is held in memory.
_CHUNK = 512
#: Log evidence by which a logarithm must be ahead: "very strong" in Kass, Raftery, "Bayes factors", 1995.
_DECISIVE = 5.0


@dataclass(frozen=True)
class ModelSettings:
    """How the model learns.

    Args:
        fewest: trials before the first fit.
        shaped: trials, the latest, that the kernel's shape is chosen on.
        growth: the shape is chosen again when there are this many times as many trials as the last time.
        sharpen: trials before relevances follow the effects found where prices offer relevances to start
            from; with fewer the marginal likelihood is deceived by them.

    Raises:
        StrategyError: a number is out of range.
    """

    fewest: int = 8
    shaped: int = 256
    growth: float = 1.25
    sharpen: int = 48

    def __post_init__(self) -> None:
        if self.fewest < 4 or self.shaped < self.fewest or self.growth <= 1:
            raise StrategyError(
                "fewest must be at least 4, shaped at least as many and growth above 1; got "
                f"{self.fewest}, {self.shaped}, {self.growth}"
            )


def compared_metrics(problem: Problem) -> tuple[str, ...]:
    """Return the objectives and the metrics of the other hard budgets, in that order."""
    objectives = [o.metric for o in problem.objectives]
    return tuple(dict.fromkeys([*objectives, *(b.metric for b in problem.budgets if b.hard)]))


def plain_predictions(problem: Problem, codes: NDArray[np.int64]) -> list[NDArray[np.float64] | None]:
    """Return for each compared metric what the problem itself predicts of ``codes``, (n,), or None.

    An objective that nothing predicts is NaN in the problem's prediction and None here.
    """
    found: dict[str, NDArray[np.float64]] = {}
    if problem.predict is not None:
        predicted = np.asarray(problem.predict(codes), dtype=np.float64)
        columns = zip(problem.objectives, predicted.T, strict=True)
        found = {o.metric: column for o, column in columns if not np.isnan(column).any()}
        if problem.tables is not None:
            rest = compared_metrics(problem)[len(problem.objectives) :]
            others = [m for m in rest if m in problem.tables.unary]
            found |= {m: problem.tables.predict(m, codes) for m in others}
    return [found.get(m) for m in compared_metrics(problem)]


def priced_relevance(problem: Problem) -> list[NDArray[np.float64] | None]:
    """Return for each compared metric how far each decision moves the plain prediction, summing to 1.

    Each option is tried alone in the untouched model. None without prediction or where nothing moves it.
    """
    space = problem.space
    owner = np.repeat(np.arange(len(space)), space.cardinalities)
    option = np.concatenate([np.arange(c) for c in space.cardinalities])
    predicted: list[list[NDArray[np.float64]]] = [[] for _ in compared_metrics(problem)]
    for start in range(0, len(owner), _CHUNK):
        rows = slice(start, start + _CHUNK)
        codes = np.tile(space.default_code, (len(owner[rows]), 1))
        codes[np.arange(len(codes)), owner[rows]] = option[rows]
        for column, values in enumerate(plain_predictions(problem, codes)):
            if values is not None:
                predicted[column].append(values)
    found: list[NDArray[np.float64] | None] = []
    for parts in predicted:
        values = np.concatenate(parts) if parts else np.zeros(len(owner))
        spread = np.array([values[owner == d].std() for d in range(len(space))])
        found.append(spread / spread.sum() if spread.sum() > 0 else None)
    return found


class MetricModel:
    """One metric: a line on the plain prediction (a mean where there is none) plus a Gaussian process.

    The process is on the values or on their logarithms, whichever makes what was told more likely: metrics
    that cannot be negative often span orders of magnitude.

    Args:
        metric: its name.
        kernels: of the space.
        priced: whether there is a plain prediction.
        relevance: see :func:`priced_relevance`; decisions are even when None.
        settings: how it learns.
    """

    def __init__(
        self,
        metric: str,
        kernels: CodeKernels,
        *,
        priced: bool,
        relevance: NDArray[np.float64] | None,
        settings: ModelSettings,
    ) -> None:
        self._settings, self._kernels = settings, kernels
        even = np.full(len(kernels.cardinalities), 1.0 / len(kernels.cardinalities))
        self._starts = [even] if relevance is None else [even, relevance]
        self.record = CalibrationRecord.empty(metric, "the plain prediction" if priced else "the mean")
        self._shape: KernelShape | None = None
        self._scale = MetricScale()
        self._line = (0.0, 0.0, 0.0)
        self._unit = (0.0, 1.0)
        self._regression: Regression | None = None

    def learn(
        self,
        codes: NDArray[np.int64],
        base: NDArray[np.float64] | None,
        truth: NDArray[np.float64],
        *,
        reshape: bool,
    ) -> None:
        """Fit to ``truth`` (n,) of ``codes``, (n, n_dimensions), whose plain prediction is ``base``, (n,)."""
        self._line = line(base, truth)
        if reshape or self._shape is None:
            latest = slice(-self._settings.shaped, None)
            self._choose(codes[latest], None if base is None else base[latest], truth[latest])
        if self._shape is not None:
            design = self._measured_design(base, len(codes))
            self._regression = regress(self._kernels, codes, self._scale.forward(truth), design, self._shape)

    def judge(
        self, codes: NDArray[np.int64], base: NDArray[np.float64] | None, truth: NDArray[np.float64]
    ) -> None:
        """Record what is predicted of ``codes`` beside ``truth`` (n,), which was not learned from yet."""
        if self._regression is not None and len(codes):
            mean, spread = self._regression.predict(codes, self._design(base, len(codes)))
            ends = [self._scale.back(mean + z * spread) for z in (0.0, -TWO_SIDED_95, TWO_SIDED_95)]
            self.record = self.record.told(truth, ends[0], ends[1], ends[2], self._plain(base, len(codes)))

    def predict(
        self, codes: NDArray[np.int64], base: NDArray[np.float64] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], MetricScale]:
        """Return mean and standard deviation, both (n,), and their scale.

        They are those of the process while it holds, else of the line.
        """
        if self.record.holds and self._regression is not None:
            return *self._regression.predict(codes, self._design(base, len(codes))), self._scale
        return self._plain(base, len(codes)), np.full(len(codes), self._line[2]), MetricScale()

    @property
    def state(self) -> dict[str, Any]:
        """What a fit does not find again from the trials, as plain JSON."""
        shape = self._shape
        saved = None if shape is None else [shape.weights.tolist(), list(shape.mix), shape.noise]
        return {"record": self.record.state, "shape": saved, "offset": self._scale.offset}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Set :attr:`state`; :meth:`learn` without reshaping completes it."""
        self.record = CalibrationRecord.from_state(self.record.metric, self.record.baseline, state["record"])
        self._scale = MetricScale(state["offset"])
        self._shape, self._regression = None, None
        if state["shape"] is not None:
            weights, (single, near, pairs, use), noise = state["shape"]
            mix = (float(single), float(near), float(pairs), float(use))
            self._shape = KernelShape(np.array(weights, dtype=np.float64), mix, float(noise))

    def _choose(
        self, codes: NDArray[np.int64], base: NDArray[np.float64] | None, truth: NDArray[np.float64]
    ) -> None:
        """Choose the scale and the kernel's shape by the marginal likelihood."""
        few = len(self._starts) > 1 and len(codes) < self._settings.sharpen
        best, chosen = -np.inf, MetricScale()
        for scale in MetricScale.candidates(truth):
            design, values = self._measured_design(base, len(codes), scale), scale.forward(truth)
            fit = best_fit(self._kernels, codes, values, design, self._starts, steps=0 if few else 2)
            evidence = fit.solved.evidence + scale.log_slope(truth)
            # sums of effects are the rule and a logarithm bends them, so it has to be much more likely
            evidence -= 0.0 if scale.offset is None else _DECISIVE
            if evidence > best:
                best, chosen, self._shape = evidence, scale, fit.shape
        self._scale = chosen

    def _plain(self, base: NDArray[np.float64] | None, n: int) -> NDArray[np.float64]:
        intercept, slope, _ = self._line
        return np.full(n, intercept) if base is None else intercept + slope * base

    def _measured_design(
        self, base: NDArray[np.float64] | None, n: int, scale: MetricScale | None = None
    ) -> NDArray[np.float64]:
        """Return :meth:`_design` on ``scale`` in units of how ``base`` varies, which is remembered."""
        self._scale = scale or self._scale
        self._unit = (0.0, 0.0)
        if base is not None:
            scaled = self._scale.forward(base)
            self._unit = (float(scaled.mean()), float(scaled.std()))
        return self._design(base, n)

    def _design(self, base: NDArray[np.float64] | None, n: int) -> NDArray[np.float64]:
        mean, spread = self._unit
        if base is None or spread == 0:
            return np.ones((n, 1))
        return np.stack([np.ones(n), (self._scale.forward(base) - mean) / spread], axis=1)


class SurrogateModel:
    """Predicts every compared metric from what was told, and says how far to trust it.

    A metric's learned prediction counts only while it beats the line on the plain prediction, or the mean, on
    trials that were predicted before they were told.

    Args:
        problem: gives the metrics and the plain predictions.
        settings: see :class:`ModelSettings`; its defaults when None.
    """

    def __init__(self, problem: Problem, settings: ModelSettings | None = None) -> None:
        self._problem = problem
        self._settings = settings or ModelSettings()
        #: What the columns of values are.
        self.metrics = compared_metrics(problem)
        plain = plain_predictions(problem, problem.space.default_code[None])
        kernels = CodeKernels.of(problem.space)
        self._models = [
            MetricModel(
                metric,
                kernels,
                priced=base is not None,
                relevance=relevance,
                settings=self._settings,
            )
            for metric, base, relevance in zip(self.metrics, plain, priced_relevance(problem), strict=True)
        ]
        self._shaped_at = 0

    @property
    def in_use(self) -> bool:
        """Whether the learned prediction of any metric counts."""
        return any(model.record.holds for model in self._models)

    @property
    def records(self) -> list[CalibrationRecord]:
        """How well the learned prediction of every metric holds."""
        return [model.record for model in self._models]

    @property
    def report(self) -> list[dict[str, Any]]:
        """Calibration and switch of every metric, see :attr:`CalibrationRecord.report`."""
        return [model.record.report for model in self._models]

    def judge(self, codes: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        """Hold predictions of ``codes`` against ``values``, (n, n_metrics); to be called before learning."""
        for model, base, truth in zip(
            self._models, plain_predictions(self._problem, codes), values.T, strict=True
        ):
            model.judge(codes, base, truth)

    def learn(self, codes: NDArray[np.int64], values: NDArray[np.float64], told: int) -> None:
        """Fit to all that is remembered.

        Args:
            codes: (n, n_dimensions).
            values: (n, n_metrics), minimized.
            told: trials told so far, forgotten ones included.
        """
        if len(codes) < self._settings.fewest:
            return
        reshape = told >= self._shaped_at * self._settings.growth
        self._shaped_at = told if reshape else self._shaped_at
        self._fit(codes, values, reshape=reshape)

    def predict(self, codes: NDArray[np.int64]) -> Forecast:
        """Return what to expect of ``codes``, (n, n_dimensions)."""
        plain = plain_predictions(self._problem, codes)
        columns = [m.predict(codes, base) for m, base in zip(self._models, plain, strict=True)]
        means, spreads, scales = zip(*columns, strict=True)
        return Forecast(self.metrics, np.stack(means, axis=1), np.stack(spreads, axis=1), scales)

    @property
    def state(self) -> dict[str, Any]:
        """Plain JSON; the fits are found again from the trials."""
        return {"shaped_at": self._shaped_at, "metrics": [model.state for model in self._models]}

    def restore(
        self, state: Mapping[str, Any], codes: NDArray[np.int64], values: NDArray[np.float64]
    ) -> None:
        """Set :attr:`state` and fit to what was remembered with it."""
        self._shaped_at = int(state["shaped_at"])
        for model, saved in zip(self._models, state["metrics"], strict=True):
            model.restore(saved)
        if self._shaped_at:
            self._fit(codes, values, reshape=False)

    def _fit(self, codes: NDArray[np.int64], values: NDArray[np.float64], *, reshape: bool) -> None:
        plain = plain_predictions(self._problem, codes)
        for model, base, truth in zip(self._models, plain, values.T, strict=True):
            model.learn(codes, base, truth, reshape=reshape)
