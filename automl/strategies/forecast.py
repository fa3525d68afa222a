"""What a model expects of candidates: means and deviations, each metric on the scale it was modeled on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.core.budget import Budget

__all__ = ["Forecast", "MetricScale"]

#: Offsets of a logarithm as shares of the median: from nearly pure to half way to the values themselves.
_OFFSETS = (0.1, 1.0)


@dataclass(frozen=True)
class MetricScale:
    """The scale a metric is modeled on: its values, or logarithms of values above an offset.

    Args:
        offset: added before the logarithm is taken, positive; None for the values themselves.
    """

    offset: float | None = None

    @classmethod
    def candidates(cls, values: NDArray[np.float64]) -> list[MetricScale]:
        """Return the scales that ``values`` (n,) allow: logarithms where none is negative."""
        middle = float(np.median(values)) if len(values) else 0.0
        positive = middle > 0 and values.min() >= 0
        return [cls(), *(cls(share * middle) for share in _OFFSETS if positive)]

    def forward(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``values`` on this scale; what is far below zero counts as nearly nothing."""
        if self.offset is None:
            return values
        return np.asarray(np.log(np.maximum(values + self.offset, 1e-3 * self.offset)))

    def back(self, scaled: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the inverse of :meth:`forward`; on a logarithm nothing is negative."""
        if self.offset is None:
            return scaled
        return np.asarray(np.maximum(np.exp(np.minimum(scaled, 700.0)) - self.offset, 0.0))

    def log_slope(self, values: NDArray[np.float64]) -> float:
        """Return the sum of logarithms of the slope of :meth:`forward`.

        Added to a log likelihood of values on this scale it makes scales comparable.
        """
        return 0.0 if self.offset is None else -float(self.forward(values).sum())


@dataclass(frozen=True, eq=False)
class Forecast:
    """Means and standard deviations of metrics.

    Args:
        metrics: what the columns are.
        mean: on the scale of each, (n, n_metrics), minimized.
        spread: standard deviations on the scale of each, (n, n_metrics).
        scales: of the metrics.
    """

    metrics: tuple[str, ...]
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    scales: tuple[MetricScale, ...]

    def at(self, deviations: float) -> NDArray[np.float64]:
        """Return the values this many standard deviations above the middle ones, (n, n_metrics)."""
        moved = (self.mean + deviations * self.spread).T
        return np.stack([s.back(column) for s, column in zip(self.scales, moved, strict=True)], axis=1)

    def excess(self, budgets: Sequence[Budget]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return by how much hard budgets are expected to be exceeded and the standard deviation of that.

        Both (n, n_hard budgets), on the scale of the metric, of which a limit is the unit where it is plain.
        """
        columns = []
        for budget in budgets:
            if budget.hard and budget.metric in self.metrics:
                place = self.metrics.index(budget.metric)
                limit = -budget.limit if budget.at_least else budget.limit
                scale = self.scales[place]
                unit = (abs(limit) or 1.0) if scale.offset is None else 1.0
                bound = scale.forward(np.array([limit]))[0]
                columns.append([(self.mean[:, place] - bound) / unit, self.spread[:, place] / unit])
        found = np.array(columns).reshape(len(columns), 2, len(self.mean))
        return found[:, 0].T, found[:, 1].T
