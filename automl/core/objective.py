"""Objectives: which metrics are traded against each other; everything inside is minimized."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from automl.core.errors import EvaluationError
from automl.core.measurement import is_maximized

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.core.measurement import Measurement

__all__ = ["Objective", "losses"]


@dataclass(frozen=True)
class Objective:
    """One axis of the front.

    Args:
        metric: name of the metric, see ``METRIC_UNITS``.
    """

    metric: str

    def loss(self, measurement: Measurement) -> float:
        """Return the metric so that smaller is better: the only place where direction is applied.

        Raises:
            EvaluationError: the measurement lacks the metric.
        """
        if self.metric not in measurement:
            raise EvaluationError(
                f"objective '{self.metric}' was not measured; measured: {', '.join(measurement)}"
            )
        value = measurement[self.metric].value
        return -value if is_maximized(self.metric) else value


def losses(objectives: Sequence[Objective], measurements: Sequence[Measurement]) -> NDArray[np.float64]:
    """Return the minimized objective matrix, shape (n_measurements, n_objectives)."""
    rows = [[objective.loss(m) for objective in objectives] for m in measurements]
    return np.asarray(rows, dtype=np.float64).reshape(len(measurements), len(objectives))
