"""Timing models on a processor: the host's clock around calls, in interleaved bursts."""

from __future__ import annotations

import time
from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING
from typing import Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    Arrays = Sequence[NDArray[np.generic]]

__all__ = ["Bindable", "HostClock", "RunTimes", "time_on_host"]

#: Timed runs of one model in a row, after one untimed run that brings its weights back into the caches.
_BURST = 4


class Bindable(Protocol):
    """A model that runs on given inputs."""

    def bind(self, inputs: Arrays) -> Callable[[], object]:
        """Return a function that runs the model on ``inputs`` and returns when it is done."""


@dataclass(frozen=True)
class RunTimes:
    """Timed runs of several models.

    Args:
        samples: run times of each model, ms.
        order: which model each run was of, in the order in which they were taken.
        how: how those of each model were taken, one sentence each; empty for the host's clock around calls.
    """

    samples: list[list[float]]
    order: list[int]
    how: list[str] = field(default_factory=list)


class HostClock:
    """The host's clock as marks, see :class:`automl.kernels.device_timing.Marks`."""

    def mark(self) -> int:
        """Return the time."""
        return time.perf_counter_ns()

    def synchronize(self) -> None:
        """Return at once: a call on the host is done when it returns."""

    def elapsed_ms(self, start: int, end: int) -> float:
        """Return the milliseconds between two marks."""
        return (end - start) / 1e6


def time_on_host(models: Sequence[Bindable], inputs: Arrays, *, repeats: int, warmup: int) -> RunTimes:
    """Return run times from interleaved bursts in alternating order.

    Args:
        models: what to time.
        inputs: one batch.
        repeats: timed runs of each.
        warmup: untimed runs of each before the first timed one.
    """
    bound = [model.bind(inputs) for model in models]
    for run in bound:
        for _ in range(warmup):
            run()
    samples: list[list[float]] = [[] for _ in bound]
    taken: list[int] = []
    done = 0
    order = list(range(len(bound)))
    while done < repeats:
        burst = min(_BURST, repeats - done)
        for index in order:
            run = bound[index]
            run()
            for _ in range(burst):
                start = time.perf_counter_ns()
                run()
                samples[index].append((time.perf_counter_ns() - start) / 1e6)
            taken += [index] * burst
        done += burst
        order.reverse()
    return RunTimes(samples, taken)
