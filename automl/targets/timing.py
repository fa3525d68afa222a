"""Statistics of run times: pure functions on samples in milliseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from automl.core.errors import EvaluationError
from automl.targets.base import Timing

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["drift_ratio", "median_interval", "summarize", "timing_facts"]


def median_interval(samples: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Return an interval of the median by order statistics, for any continuous distribution.

    The number of samples below the median is binomial(n, 1/2), so the k-th smallest and k-th largest sample
    enclose the median with probability at least ``level`` for the largest k whose two tails are within
    ``1 - level``. With fewer than six samples no such k exists and the range of the samples is returned.

    Raises:
        EvaluationError: there are no samples.
    """
    if not len(samples):
        raise EvaluationError("no run was timed; ask for at least one repeat")
    ordered = np.sort(np.asarray(samples, dtype=float))
    below = int(stats.binom.ppf((1 - level) / 2, len(ordered), 0.5))
    if stats.binom.cdf(below - 1, len(ordered), 0.5) > (1 - level) / 2:
        below -= 1
    k = max(below - 1, 0)
    return float(ordered[k]), float(ordered[len(ordered) - 1 - k])


def summarize(samples: Sequence[float]) -> Timing:
    """Return median, its 95 % interval and the 95th percentile of run times in ms.

    Raises:
        EvaluationError: there are no samples, or one is not positive.
    """
    low, high = median_interval(samples)
    values = np.asarray(samples, dtype=float)
    if not (values > 0).all():
        raise EvaluationError(f"a run took {values.min()} ms; the clock of this machine cannot be used")
    return Timing(
        median_ms=float(np.median(values)),
        low_ms=low,
        high_ms=high,
        p95_ms=float(np.percentile(values, 95)),
        repeats=len(values),
    )


def timing_facts(timing: Timing) -> dict[str, str]:
    """Return the fact ``latency_timed``, how runs were taken; nothing for the host's clock."""
    return {"latency_timed": timing.how} if timing.how else {}


def drift_ratio(reference: Sequence[float]) -> float:
    """Return the median of the last third over that of the first third: 1 when the machine kept its speed.

    Raises:
        EvaluationError: fewer than three samples.
    """
    third = len(reference) // 3
    if not third:
        raise EvaluationError(f"drift needs at least 3 samples, got {len(reference)}")
    return float(np.median(reference[-third:]) / np.median(reference[:third]))
