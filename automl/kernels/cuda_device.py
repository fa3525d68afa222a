"""CUDA and ROCm devices as timing sees them, and what identifies one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import torch

from automl.kernels.device_timing import CaptureError

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[[], object]

__all__ = ["CudaDevice", "device_facts"]

#: Its streams and events are declared without types.
_cuda: Any = torch.cuda

#: Where Linux tells the version of NVIDIA's and of AMD's kernel module.
_DRIVERS = (Path("/proc/driver/nvidia/version"), Path("/sys/module/amdgpu/version"))


class CudaDevice:
    """The current CUDA or ROCm device; see :class:`automl.kernels.device_timing.Device`.

    Args:
        place: torch device of the buffer that is written over the caches.
    """

    def __init__(self, place: str = "cuda") -> None:
        self._place = place
        # The default stream cannot be captured.
        self._side = _cuda.Stream()
        self._pool: Any = torch.cuda.graph_pool_handle()
        self._buffer: torch.Tensor | None = None

    @property
    def cache_bytes(self) -> int:
        """Size of the second-level cache."""
        return int(torch.cuda.get_device_properties(torch.cuda.current_device()).L2_cache_size)

    def reserve(self, size: int) -> None:
        """Make ``flush`` write ``size`` bytes."""
        if self._buffer is None or self._buffer.numel() < size:
            self._buffer = None
            self._buffer = torch.empty(size, dtype=torch.int8, device=self._place)

    def warm_up(self, run: Run, times: int) -> None:
        """Run on the side stream and wait."""
        self._side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._side):
            for _ in range(times):
                run()
        torch.cuda.synchronize()

    def capture(self, run: Run) -> Run:
        """Return the replay of the graph of ``run``; its inputs must stay where they are.

        Graphs share their memory: they are replayed one after the other, and nobody reads their results.

        Raises:
            CaptureError: the run waits for the device, or does something else that no graph can hold.
        """
        graph = torch.cuda.CUDAGraph()
        try:
            # A capture that fails leaves its stream current; the outer context returns to ours all the same.
            with torch.cuda.stream(self._side), torch.cuda.graph(graph, pool=self._pool, stream=self._side):
                run()
        except RuntimeError as error:
            torch.cuda.synchronize()
            # What the broken capture holds of its pool is not handed to the next one.
            self._pool = torch.cuda.graph_pool_handle()
            raise CaptureError(f"its launches cannot be captured: {_first_line(error)}") from error

        def replay() -> None:
            graph.replay()

        return replay

    def flush(self) -> None:
        """Write over the caches."""
        if self._buffer is not None:
            self._buffer.zero_()

    def mark(self) -> Any:
        """Put an event with a time into the current stream."""
        event = _cuda.Event(enable_timing=True)
        event.record()
        return event

    def synchronize(self) -> None:
        """Wait for the device."""
        torch.cuda.synchronize()

    def elapsed_ms(self, start: Any, end: Any) -> float:
        """Return the milliseconds between two events."""
        return float(start.elapsed_time(end))


def _first_line(error: BaseException) -> str:
    """Return what went wrong first: ending a broken capture fails once more, and says less."""
    while isinstance(error.__context__, RuntimeError):
        error = error.__context__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__


def device_facts() -> dict[str, Any]:
    """Return name, driver and size of the current device, plain JSON, as far as the system tells."""
    properties = torch.cuda.get_device_properties(torch.cuda.current_device())
    hip = torch.version.hip
    return {
        "device": torch.cuda.get_device_name(),
        "driver": _driver(),
        "runtime": f"rocm {hip}" if hip else f"cuda {torch.version.cuda}",
        "memory_bytes": int(properties.total_memory),
        "cache_bytes": int(properties.L2_cache_size),
    }


def _driver() -> str:
    for place in _DRIVERS:
        if place.is_file():
            return place.read_text().splitlines()[0].strip()
    return "unknown"
