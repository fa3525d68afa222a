"""Timing on a device that works off a queue: events around each run, nothing of the last one in its cache.

What is launched, on which inputs and in which order is decided here, on plain values; what a queue, an event
and a captured graph are is behind :class:`Device`, so all of it is tested without a device.

A captured graph is launched while the device still writes the flush, so what lies between its two events is
the device's work alone. Launches one by one begin on an idle device, so that the host's share of them counts:
a program that cannot be captured pays it wherever it is served.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any
from typing import Protocol

from automl.core.errors import KernelError

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator
    from collections.abc import Sequence

    Run = Callable[[], object]

__all__ = [
    "EAGER",
    "GRAPH",
    "CaptureError",
    "Device",
    "Marks",
    "Program",
    "Timed",
    "describe",
    "flush_bytes",
    "input_sets",
    "schedule",
    "time_programs",
]

#: How the launches of a program reach the device.
GRAPH, EAGER = "graph", "eager"

#: Written before every run at least: twice the last-level cache of 256 MiB that some devices have behind the
#: one they tell of; and writing it takes longer than the host needs to launch a graph.
LEAST_FLUSH = 512 << 20

#: Copies of the inputs at most, each with a graph of its own; caches are written over between runs anyway.
MOST_SETS = 4


class CaptureError(KernelError):
    """The launches of a program cannot be captured as a graph; the text says why."""


class Marks(Protocol):
    """A clock that is read in the order of the work around it."""

    def mark(self) -> Any:
        """Put an event between what was launched and what will be."""

    def synchronize(self) -> None:
        """Wait until the queue is empty."""

    def elapsed_ms(self, start: Any, end: Any) -> float:
        """Return the milliseconds between two events that have passed."""


class Device(Marks, Protocol):
    """What timing asks of a device; everything but waiting is queued and returns at once."""

    @property
    def cache_bytes(self) -> int:
        """Size of the last cache that the device tells of, bytes."""

    def reserve(self, size: int) -> None:
        """Make ``flush`` write ``size`` bytes."""

    def warm_up(self, run: Run, times: int) -> None:
        """Run ``times`` times where a capture would, and wait: what is built on first use is built then."""

    def capture(self, run: Run) -> Run:
        """Return what launches again all that ``run`` launches.

        Raises:
            CaptureError: it cannot be captured.
        """

    def flush(self) -> None:
        """Write over the caches."""


@dataclass(frozen=True)
class Program:
    """What is timed.

    Args:
        runs: one for each set of inputs, of equal work; a run leaves its work in the queue.
        obstacle: why its launches cannot be captured, empty when nothing is known against it.

    Raises:
        KernelError: there is no run.
    """

    runs: tuple[Run, ...]
    obstacle: str = ""

    def __post_init__(self) -> None:
        if not self.runs:
            raise KernelError("a program without a run cannot be timed; bind it to a set of inputs")


@dataclass(frozen=True)
class Timed:
    """Run times of one program.

    Args:
        samples_ms: in the order they were taken.
        launch: ``graph`` or ``eager``.
        reason: why not as a graph; empty for one.
        sets: sets of inputs that took turns.
        flushed: bytes written over the caches before every run.
    """

    samples_ms: tuple[float, ...]
    launch: str
    reason: str
    sets: int
    flushed: int


def flush_bytes(cache_bytes: int) -> int:
    """Return how much is written over a cache of ``cache_bytes`` before a run: at least twice its size."""
    return max(2 * cache_bytes, LEAST_FLUSH)


def input_sets(cache_bytes: int, set_bytes: int) -> int:
    """Return how many sets of inputs take turns: together twice the cache where 2 to ``MOST_SETS`` reach it.

    Args:
        cache_bytes: of the device.
        set_bytes: of one set.
    """
    return min(MOST_SETS, max(2, -(-2 * cache_bytes // max(set_bytes, 1))))


def schedule(sets: Sequence[int], repeats: int) -> Iterator[tuple[int, int]]:
    """Yield (program, set of inputs) in the order of the timed runs.

    Every program has its turn in each round, so a disturbance falls on all of them; every second round goes
    backwards, so none always follows the same one. The sets go round by round.

    Args:
        sets: number of input sets of each program.
        repeats: rounds.
    """
    order = list(range(len(sets)))
    for turn in range(repeats):
        for program in order if turn % 2 == 0 else reversed(order):
            yield program, turn % sets[program]


def time_programs(
    programs: Sequence[Program], device: Device, *, repeats: int, warmup: int = 3
) -> list[Timed]:
    """Time programs in turns.

    Args:
        programs: what to time; a program that cannot be captured is launched run by run.
        device: theirs.
        repeats: timed runs of each.
        warmup: untimed runs of each on every set of inputs, at least one.

    Raises:
        KernelError: there is nothing to repeat.
    """
    if repeats < 1 or warmup < 1:
        raise KernelError(
            f"timing of {repeats} runs after {warmup} untimed ones is not possible; ask for at least one each"
        )
    flushed = flush_bytes(device.cache_bytes)
    device.reserve(flushed)
    chosen = [_launches(program, device, warmup) for program in programs]
    samples: list[list[float]] = [[] for _ in programs]
    for index, which in schedule([len(runs) for runs, _ in chosen], repeats):
        runs, reason = chosen[index]
        samples[index].append(_timed_run(device, runs[which], eager=bool(reason)))
    return [
        Timed(tuple(times), EAGER if reason else GRAPH, reason, len(runs), flushed)
        for times, (runs, reason) in zip(samples, chosen, strict=True)
    ]


def _launches(program: Program, device: Device, warmup: int) -> tuple[Sequence[Run], str]:
    """Return the runs of a program as graphs, or as they are with the reason."""
    for run in program.runs:
        device.warm_up(run, warmup)
    if program.obstacle:
        return program.runs, program.obstacle
    try:
        graphs = [device.capture(run) for run in program.runs]
    except CaptureError as error:
        return program.runs, str(error)
    # The first launch of a graph uploads it.
    for graph in graphs:
        graph()
    device.synchronize()
    return graphs, ""


def _timed_run(device: Device, run: Run, *, eager: bool) -> float:
    device.flush()
    if eager:
        device.synchronize()
    start = device.mark()
    run()
    end = device.mark()
    device.synchronize()
    return device.elapsed_ms(start, end)


def describe(timed: Timed) -> str:
    """Return one sentence that says how a program was timed."""
    how = "replays of a captured graph" if timed.launch == GRAPH else f"eager launches ({timed.reason})"
    return (
        f"{how}, between two events of the device, {timed.flushed >> 20} MiB written over its caches before "
        f"every run, {timed.sets} sets of inputs in turn"
    )
