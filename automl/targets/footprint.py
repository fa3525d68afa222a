"""Resident memory of the measuring process, and what serving one model adds to it.

Resident means what the kernel counts, libraries and buffers included: the figure that ``ps`` shows. Two
things are taken out because they do not belong to the model: the runtime itself, which has served a tiny
model before the count begins, and memory that the allocator keeps for later although nothing uses it, which
is given back before each reading. Without the second the figure is the peak of the compilation in disguise,
and it is not reproducible.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import TYPE_CHECKING

from automl.core.errors import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from automl.targets.worker import LoadedModel

__all__ = ["kernel_bytes", "peak_bytes", "release_free", "reset_peak", "resident_bytes", "serving_footprint"]

_ROLLUP = Path("/proc/self/smaps_rollup")
_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")

#: What resets the peak, see proc_pid_clear_refs(5).
_RESET_PEAK = "5"


def kernel_bytes(text: str, name: str) -> int:
    """Return the field ``name`` of a kernel table of ``Name:  123 kB`` lines, in bytes.

    Raises:
        EvaluationError: there is no such field.
    """
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * 1024
    raise EvaluationError(f"the kernel does not tell '{name}' of a process; memory cannot be measured here")


def resident_bytes() -> int:
    """Return the resident set of this process.

    Raises:
        EvaluationError: the system does not tell.
    """
    try:
        return kernel_bytes(_ROLLUP.read_text(), "Rss")
    except OSError as error:
        raise EvaluationError(
            f"the resident memory of a process cannot be read here ({_ROLLUP}: {error.strerror}); it needs "
            "Linux 4.14 or newer: leave the memory budget out"
        ) from error


def reset_peak() -> bool:
    """Make the peak of the resident set start anew; return whether the system allows that."""
    try:
        _CLEAR.write_text(_RESET_PEAK)
    except OSError:
        return False
    return True


def peak_bytes() -> int:
    """Return the largest resident set of this process since the peak was reset.

    Raises:
        EvaluationError: the system does not tell.
    """
    return kernel_bytes(_STATUS.read_text(), "VmHWM")


def release_free() -> None:
    """Give memory that the allocator holds and nothing uses back to the system.

    Raises:
        EvaluationError: the C library cannot do that.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None:
        raise EvaluationError(
            "the C library of this system has no malloc_trim, so free memory cannot be told from used; "
            "memory is measured with glibc: leave the memory budget out"
        )
    trim(0)


def serving_footprint(
    serve_idle: Callable[[], LoadedModel],
    load: Callable[[], LoadedModel],
    inputs: Sequence[NDArray[np.generic]],
    runs: int,
) -> dict[str, int | None]:
    """Return what one model adds to the resident set of this process, which must not have loaded another.

    The count begins when the runtime has served its idle model, and ends after ``runs`` runs on ``inputs``,
    free memory given back, and as many again.

    Args:
        serve_idle: loads and runs a tiny model; it stays loaded meanwhile.
        load: loads the model that is measured.
        inputs: one batch.
        runs: runs before each reading.

    Returns:
        ``resident``: bytes held while serving; ``peak``: the most that was held from before the file was
        read, free memory included, None when the system does not let a process reset its peak.

    Raises:
        EvaluationError: the system does not tell, or the model is too small to be seen.
    """
    idle = serve_idle()
    release_free()
    before = resident_bytes()
    fresh = reset_peak()
    run = load().bind(inputs)
    for _ in range(runs):
        run()
    peak = peak_bytes() - before if fresh else None
    release_free()
    for _ in range(runs):
        run()
    resident = resident_bytes() - before
    del idle
    if resident <= 0:
        raise EvaluationError(
            f"serving the model changed the resident memory by {resident} bytes, which is less than can be "
            "measured; leave the memory budget out for a model this small"
        )
    return {"resident": resident, "peak": None if peak is None else max(peak, resident)}
