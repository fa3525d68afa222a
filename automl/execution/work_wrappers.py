"""Wrappers of a work function: measure several times, try again after a passing failure.

Both are picklable where the wrapped function is, so they travel to any worker. A worker that dies and a job
that takes too long are the pool's business, see ``automl.execution.pool``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
from scipy.special import stdtrit

from automl.core.errors import ConfigError
from automl.core.measurement import Measurement
from automl.core.measurement import Metric
from automl.core.rng import child_seed

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping
    from collections.abc import Sequence

__all__ = ["Repeated", "Retried", "averaged"]


def averaged(measurements: Sequence[Measurement]) -> Measurement:
    """Return the mean of every metric with the 95 % interval of that mean, by Student's t.

    Where all values are equal the metric is what one of them said: the same samples measured again say no
    more. Facts are those of the first, with ``repeats``.

    Args:
        measurements: at least one; of the same metrics.
    """
    metrics: dict[str, Metric] = {}
    for name in measurements[0]:
        parts = [m[name] for m in measurements]
        values = np.array([p.value for p in parts])
        if np.ptp(values) == 0:
            metrics[name] = parts[0]
            continue
        mean = float(values.mean())
        n = sum(p.n for p in parts)
        half = float(stdtrit(len(values) - 1, 0.975) * values.std(ddof=1) / np.sqrt(len(values)))
        metrics[name] = Metric(mean, parts[0].unit, mean - half, mean + half, n)
    return Measurement(metrics, {**measurements[0].facts, "repeats": len(measurements)})


@dataclass(frozen=True)
class Repeated:
    """Work that measures ``times`` times, each with a child of the payload's seed, and returns the average.

    Args:
        work: (state, payload) -> ``Measurement.to_json()``.
        times: at least 1; 1 measures once, with the payload's own seed.
        stages: names of the stages to repeat; all when empty.

    Raises:
        ConfigError: ``times`` is not positive.
    """

    work: Callable[[Any, Any], Any]
    times: int
    stages: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.times < 1:
            raise ConfigError(f"a measurement cannot be repeated {self.times} times; give 1 or more")

    def __call__(self, state: Any, payload: Mapping[str, Any]) -> Any:
        """Return the averaged measurement as plain JSON."""
        if self.times == 1 or (self.stages and payload["stage"] not in self.stages):
            return self.work(state, payload)
        measured = [
            Measurement.from_json(
                self.work(state, {**payload, "seed": child_seed(payload["seed"], "repeat", i)})
            )
            for i in range(self.times)
        ]
        return averaged(measured).to_json()


@dataclass(frozen=True)
class Retried:
    """Work that is tried again when it fails in a way that may pass; the last failure counts.

    Args:
        work: (state, payload) -> anything.
        retries: how often at most, at least 0.
        passing: what may pass: by default a lack of memory or what the operating system reports, such as a
            full disk or a lost connection. A model that cannot be built fails the same way again.

    Raises:
        ConfigError: ``retries`` is negative.
    """

    work: Callable[[Any, Any], Any]
    retries: int = 1
    passing: tuple[type[Exception], ...] = (OSError, MemoryError)

    def __post_init__(self) -> None:
        if self.retries < 0:
            raise ConfigError(f"a job cannot be tried again {self.retries} times; give 0 or more")

    def __call__(self, state: Any, payload: Any) -> Any:
        """Return what the work returns."""
        for _ in range(self.retries):
            try:
                return self.work(state, payload)
            except self.passing:
                continue
        return self.work(state, payload)
