"""The kernels timed on a device, next to the roofline of the device and to the best that torch has."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from automl.evaluators.roofline_math import Work
from automl.evaluators.roofline_math import roofline_s
from automl.kernels.device_contenders import CONTESTS
from automl.kernels.device_contenders import OURS
from automl.kernels.device_contenders import SHAPES
from automl.kernels.device_contenders import contest
from automl.kernels.device_timing import Program
from automl.kernels.device_timing import time_programs
from automl.kernels.interleaved import spread_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Mapping
    from collections.abc import Sequence

    from automl.kernels.device_contenders import Contest
    from automl.kernels.device_timing import Device as Clock
    from automl.kernels.device_timing import Timed
    from automl.targets.devices import Device

__all__ = ["KernelRow", "bench_kernels", "least_ms"]

#: Sets of operands; what is written over the caches between runs is what empties them.
_SETS = 3


@dataclass(frozen=True)
class KernelRow:
    """One call of one contest.

    Args:
        kernel: name.
        m: rows of input.
        k: inner length.
        n: outputs.
        call: ``automl``, or what torch has.
        median_ms: median over the rounds; None where the call cannot run.
        low_ms: first quartile.
        high_ms: third quartile.
        rounds: how many.
        roofline_ms: least time of our operands on the device; None where its roofline is not known.
        of_roofline: ``roofline_ms`` over the median.
        best_torch: torch's fastest call of the contest, empty where none ran.
        times_best_torch: its median over this one: above 1 this call is faster.
        launch: ``graph`` or ``eager``.
        reason: why eager, or why the call cannot run; empty when all is well.
    """

    kernel: str
    m: int
    k: int
    n: int
    call: str
    median_ms: float | None
    low_ms: float | None
    high_ms: float | None
    rounds: int
    roofline_ms: float | None
    of_roofline: float | None
    best_torch: str
    times_best_torch: float | None
    launch: str
    reason: str


def least_ms(found: Contest, device: Device | None) -> float | None:
    """Return the roofline of a contest in ms; None without a device."""
    if device is None:
        return None
    work = Work(macs=found.macs, read_bytes=float(found.moved))
    peak = device.peak(found.peak or "f32")
    return 1e3 * roofline_s(work, peak, device.vector_ops_s, device.bandwidth)


def bench_kernels(
    clock: Clock,
    device: Device | None,
    *,
    place: str,
    rounds: int,
    kernels: Sequence[str] = (),
    shapes: Sequence[tuple[int, int, int]] = SHAPES,
) -> Iterator[KernelRow]:
    """Time every kernel at every shape and yield the rows of a contest when it is done.

    Args:
        clock: times on the device.
        device: its roofline, None when it is not known.
        place: torch device of the operands.
        rounds: timed runs of every call.
        kernels: names; all that have a contest when empty.
        shapes: (m, k, n).

    Raises:
        KernelError: a kernel has no contest.
    """
    for kernel in kernels or CONTESTS:
        for shape in shapes:
            sets = [contest(kernel, shape, place, seed) for seed in range(_SETS)]
            first = sets[0]
            names = [name for name in first.calls if all(name in s.calls for s in sets)]
            programs = [Program(tuple(s.calls[name] for s in sets)) for name in names]
            timed = dict(zip(names, time_programs(programs, clock, repeats=rounds), strict=True))
            yield from _rows(first, shape, timed, least_ms(first, device))


def _rows(
    found: Contest, shape: tuple[int, int, int], timed: Mapping[str, Timed], roofline_ms: float | None
) -> Iterator[KernelRow]:
    spreads = {name: spread_of(t.samples_ms) for name, t in timed.items()}
    rivals = {name: s.median_ms for name, s in spreads.items() if name != OURS}
    best = min(rivals, key=rivals.__getitem__) if rivals else ""
    row = partial(KernelRow, found.kernel, *shape, roofline_ms=roofline_ms, best_torch=best)
    for name, s in spreads.items():
        yield row(
            call=name,
            median_ms=s.median_ms,
            low_ms=s.low_ms,
            high_ms=s.high_ms,
            rounds=s.rounds,
            of_roofline=None if roofline_ms is None else roofline_ms / s.median_ms,
            times_best_torch=rivals[best] / s.median_ms if best else None,
            launch=timed[name].launch,
            reason=timed[name].reason,
        )
    for name, reason in found.missing.items():
        yield row(
            call=name,
            median_ms=None,
            low_ms=None,
            high_ms=None,
            rounds=0,
            of_roofline=None,
            times_best_torch=None,
            launch="",
            reason=reason,
        )
