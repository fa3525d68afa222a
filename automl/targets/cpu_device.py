"""This machine's processor as a roofline device: peaks and bandwidth measured in a few seconds.

A roof is the most that anything reaches, so each figure is the best of many runs: square matrix products
in f32, bf16 and int8, and the better of copying memory and multiplying a matrix that no cache holds by a
vector. A type without a kernel here has no peak and runs at f32's.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from typing import Any

import torch

from automl.core.errors import TargetError
from automl.targets.devices import Device
from automl.targets.fingerprint import available_cores
from automl.targets.fingerprint import cpu_facts

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping

__all__ = ["device_from_json", "device_key", "device_to_json", "measure_cpu"]

#: Side of the square products.
SIDE = 1024
#: Side of the matrix that is streamed: 256 MiB in f32, beyond the caches one core can use.
STREAM = 8192
#: Elements of the vector operations, in a cache.
VECTOR = 1 << 16
#: Rounds in which the figures take turns, and how long each is tried in one.
ROUNDS, ROUND_S = 4, 0.1


def best_seconds(
    runs: Mapping[str, Callable[[], object]],
    *,
    rounds: int = ROUNDS,
    seconds: float = ROUND_S,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Return the shortest run of each, the first ones left out.

    The runs take turns for several rounds of some time each: whatever else holds a core for a moment then
    spoils a round and not a figure.

    Args:
        runs: what is timed, by name.
        rounds: turns of each.
        seconds: length of a turn.
        clock: seconds.
    """
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(rounds):
        for name, run in runs.items():
            run()
            end = clock() + seconds
            while True:
                began = clock()
                run()
                done = clock()
                best[name] = min(best[name], done - began)
                if done >= end:
                    break
    return best


def _products(side: int) -> dict[str, Callable[[], object]]:
    """Return the square products that this torch build runs, by type."""
    generator = torch.Generator().manual_seed(0)
    real = torch.randn(side, side, generator=generator)
    half = real.to(torch.bfloat16)
    codes = torch.randint(-127, 128, (side, side), generator=generator, dtype=torch.int8)
    runs: dict[str, Callable[[], object]] = {
        "f32": lambda: torch.mm(real, real),
        "bf16": lambda: torch.mm(half, half),
        "int8": lambda: torch._int_mm(codes, codes),
    }
    usable = {}
    for name, run in runs.items():
        try:
            run()
        except (RuntimeError, NotImplementedError):
            continue
        usable[name] = run
    return usable


def measure_cpu(
    threads: int | None = None, *, side: int = SIDE, stream: int = STREAM, seconds: float = ROUND_S
) -> Device:
    """Return the device ``cpu``, measured with ``threads`` threads, every core when None.

    Args:
        threads: threads of the products and streams.
        side: side of the square products.
        stream: side of the matrix that is streamed.
        seconds: how long each figure is tried in a round.

    Raises:
        TargetError: a measurement is not positive.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads or available_cores())
    try:
        with torch.inference_mode():
            matrix, vector = torch.zeros(stream, stream), torch.zeros(stream)
            other, small = torch.zeros_like(matrix), torch.zeros(VECTOR)
            tiny, weight = torch.zeros(1, 16), torch.zeros(16, 16)
            products = _products(side)
            best = best_seconds(
                {
                    **products,
                    "copy": lambda: other.copy_(matrix),
                    "stream": lambda: torch.mv(matrix, vector),
                    "vector": lambda: small.mul_(1.0),
                    "launch": lambda: torch.nn.functional.linear(tiny, weight),
                },
                seconds=seconds,
            )
    finally:
        torch.set_num_threads(before)
    peaks = {kind: 2.0 * side**3 / best[kind] for kind in products}
    size = 4.0 * stream * stream
    return Device(
        "cpu",
        str(cpu_facts()["cpu"]),
        # A type that is slower than f32 is emulated; the product runs in f32 then.
        {kind: max(peak, peaks["f32"]) for kind, peak in peaks.items()},
        VECTOR / best["vector"],
        max(2.0 * size / best["copy"], size / best["stream"]),
        best["launch"],
        fused_attention=False,
        measured=True,
    )


def device_key(threads: int | None) -> list[object]:
    """Return what the measured device depends on: processor, threads and torch."""
    return ["cpu device", cpu_facts(), threads or available_cores(), torch.__version__, SIDE, STREAM, ROUNDS]


def device_to_json(device: Device) -> dict[str, Any]:
    """Return plain JSON; inverse of :func:`device_from_json`."""
    return {**vars(device), "peaks": dict(device.peaks)}


def device_from_json(data: Mapping[str, Any]) -> Device:
    """Return the stored device.

    Raises:
        TargetError: a field is missing, or a figure is not positive.
    """
    try:
        return Device(**data)
    except TypeError as error:
        raise TargetError(
            f"the stored device cannot be read ({error}); measure the processor again"
        ) from error
