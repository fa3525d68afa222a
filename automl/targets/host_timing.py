"""Timing models on a processor: the host's clock around calls, in interleaved bursts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from typing import Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    Arrays = Sequence[NDArray[np.generic]]

__all__ = ["Bindable", "HostClock", "time_on_host"]

#: Timed runs of one model in a row, after one untimed run that brings its weights back into the caches.
_BURST = 4


class Bindable(Protocol):
    """A model that runs on given inputs."""

    def bind(self, inputs: Arrays) -> Callable[[], object]:
        """Return a function that runs the model on ``inputs`` and returns when it is done."""


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


def time_on_host(
    models: Sequence[Bindable], inputs: Arrays, *, repeats: int, warmup: int
) -> list[list[float]]:
    """Return run times in ms, per model, from interleaved bursts in alternating order.

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
        done += burst
        order.reverse()
    return samples
