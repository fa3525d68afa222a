"""Measured memory: what serving a candidate's file holds resident in the target's runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from automl.core.errors import EvaluationError
from automl.core.measurement import Measurement
from automl.core.measurement import Metric
from automl.targets.timing import median_interval

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from automl.targets.base import Target

__all__ = ["CONFIRM_PROCESSES", "SEARCH_PROCESSES", "measure_memory"]

#: Fresh processes behind the figure of a candidate during the search.
SEARCH_PROCESSES = 3

#: Fresh processes behind a confirmed figure: the fewest whose range is a 95 % interval of the median.
CONFIRM_PROCESSES = 6


def measure_memory(
    target: Target,
    file: Path,
    float_type: str,
    inputs: Sequence[NDArray[np.generic]],
    *,
    processes: int = SEARCH_PROCESSES,
) -> Measurement:
    """Return ``memory_bytes`` and ``memory_peak_bytes`` of a file, medians over fresh processes.

    ``memory_bytes`` is what the model adds to the resident set of a process in which the runtime has served
    before: its weights in every form the runtime keeps, generated code, feature maps, inputs and outputs. It
    is what limits how many models a server holds. ``memory_peak_bytes`` is the most that was resident from
    before the file was read: reading and compiling pass through it once, a runtime whose allocator gives
    nothing back stays near it, and it varies more. The peak is left out where the system cannot tell it.

    The interval is that of the median; with fewer than six processes it is the range of what was seen.

    Args:
        target: serves the file.
        file: the candidate's model file.
        float_type: how everything not quantized is computed.
        inputs: one batch, one array per model input.
        processes: fresh processes, one reading each.

    Raises:
        EvaluationError: the model cannot be compiled or run, its process dies, or the system does not tell
            how much memory a process holds.
    """
    found = target.memory(file, inputs, float_type=float_type, processes=processes)
    if not all(f.resident_bytes > 0 for f in found):
        least = min(f.resident_bytes for f in found)
        raise EvaluationError(
            f"serving {file.name} took {least} bytes of memory; the figure must be positive: leave the "
            "memory budget out"
        )
    metrics = {"memory_bytes": _median([f.resident_bytes for f in found])}
    peaks = [f.peak_bytes for f in found if f.peak_bytes is not None]
    if len(peaks) == len(found):
        metrics["memory_peak_bytes"] = _median(peaks)
    return Measurement(metrics)


def _median(values: Sequence[int]) -> Metric:
    low, high = median_interval(values)
    return Metric(float(np.median(values)), "B", low, high, len(values))
