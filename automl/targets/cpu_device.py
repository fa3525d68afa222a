"""This machine's processor as a roofline device: peaks and bandwidth measured in a second or two.

A roof is the most that anything reaches, so each figure is the best of several runs: square matrix products
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
REPEATS = 7


def best_seconds(
    run: Callable[[], object], repeats: int = REPEATS, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Return the shortest of several runs, the first one left out."""
    run()
    found = []
    for _ in range(repeats):
        began = clock()
        run()
        found.append(clock() - began)
    return min(found)


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


def measure_cpu(threads: int | None = None, *, side: int = SIDE, stream: int = STREAM) -> Device:
    """Return the device ``cpu``, measured with ``threads`` threads, every core when None.

    Args:
        threads: threads of the products and streams.
        side: side of the square products.
        stream: side of the matrix that is streamed.

    Raises:
        TargetError: a measurement is not positive.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads or available_cores())
    try:
        with torch.inference_mode():
            peaks = {k: 2.0 * side**3 / best_seconds(run) for k, run in _products(side).items()}
            # A type that is slower than f32 is emulated; the product runs in f32 then.
            peaks = {k: max(v, peaks["f32"]) for k, v in peaks.items()}
            matrix, vector = torch.zeros(stream, stream), torch.zeros(stream)
            other = torch.zeros_like(matrix)
            size = 4.0 * stream * stream
            bandwidth = max(
                2.0 * size / best_seconds(lambda: other.copy_(matrix)),
                size / best_seconds(lambda: torch.mv(matrix, vector)),
            )
            small = torch.zeros(VECTOR)
            flops = VECTOR / best_seconds(lambda: small.mul_(1.0), 50)
            tiny, weight = torch.zeros(1, 16), torch.zeros(16, 16)
            launch = best_seconds(lambda: torch.nn.functional.linear(tiny, weight), 200)
    finally:
        torch.set_num_threads(before)
    return Device(
        "cpu",
        str(cpu_facts()["cpu"]),
        peaks,
        max(flops, 1.0),
        bandwidth,
        launch,
        fused_attention=False,
        measured=True,
    )


def device_key(threads: int | None) -> list[object]:
    """Return what the measured device depends on: processor, threads and torch."""
    return ["cpu device", cpu_facts(), threads or available_cores(), torch.__version__, SIDE, STREAM]


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
