"""Timing several calls side by side: in turns, so that a disturbance of the machine falls on all of them."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping
    from collections.abc import Sequence

__all__ = ["Spread", "interleave", "spread_of"]


@dataclass(frozen=True)
class Spread:
    """Times of one call.

    Args:
        median_ms: median over the rounds.
        low_ms: first quartile.
        high_ms: third quartile.
        rounds: how many.
    """

    median_ms: float
    low_ms: float
    high_ms: float
    rounds: int


def interleave(
    calls: Mapping[str, Callable[[], object]],
    clock: Callable[[], float],
    *,
    rounds: int = 50,
    round_ms: float = 2.0,
) -> dict[str, Spread]:
    """Return the time of each call, measured in turns.

    Args:
        calls: name -> call without arguments.
        clock: seconds, such as ``time.perf_counter``.
        rounds: times that every call has its turn.
        round_ms: a turn repeats a short call until it lasts about this long, and counts the mean.
    """
    repeats = {}
    for name, call in calls.items():
        call()
        start = clock()
        call()
        once_ms = (clock() - start) * 1e3
        repeats[name] = max(1, int(round_ms / max(once_ms, 1e-3)))
    times: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    for turn in range(rounds):
        # Another call begins each round, so that none always follows one that shares its operands.
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            call = calls[name]
            # The first call of a turn finds the caches full of its neighbour's operands.
            call()
            start = clock()
            for _ in range(repeats[name]):
                call()
            times[name].append((clock() - start) * 1e3 / repeats[name])
    return {name: spread_of(found) for name, found in times.items()}


def spread_of(times: Sequence[float]) -> Spread:
    """Return median and quartiles of times in ms; there is at least one."""
    ordered = sorted(times)
    quarter = len(ordered) // 4
    return Spread(median(ordered), ordered[quarter], ordered[-1 - quarter], len(ordered))
