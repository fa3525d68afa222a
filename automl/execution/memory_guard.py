"""A job under a memory cap: the process watches its own resident set while the job runs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from typing import Any

import psutil

from automl.execution.pool import ReportKind
from automl.execution.pool import failed_job

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["run_guarded"]

_LOOK_S = 0.05


def run_guarded(
    work: Callable[[Any, Any], Any], state: Any, payload: Any, cap_bytes: int | None
) -> tuple[ReportKind, Any]:
    """Return how a job ended and its value or reason; never raises an exception of the job.

    Under a cap the job runs in a thread of its own. When the process grows beyond the cap the job is reported
    as over its memory while the thread still runs: the caller has to end the process.

    Args:
        work: the work function.
        state: the worker's state.
        payload: of the job.
        cap_bytes: largest resident set of the whole process; None for no cap.
    """
    if cap_bytes is None:
        return _run(work, state, payload)
    ended: list[tuple[ReportKind, Any]] = []
    thread = threading.Thread(target=lambda: ended.append(_run(work, state, payload)), daemon=True)
    process, peak = psutil.Process(), 0
    thread.start()
    while thread.is_alive():
        thread.join(_LOOK_S)
        peak = max(peak, process.memory_info().rss)
        if peak > cap_bytes and thread.is_alive():
            text = (
                f"it took {peak / 1e6:.0f} MB where {cap_bytes / 1e6:.0f} MB are allowed; allow more memory "
                "for an evaluation"
            )
            return ReportKind.OVER_MEMORY, text
    return ended[0] if ended else (ReportKind.FAILED, "the job ended its thread without a result")


def _run(work: Callable[[Any, Any], Any], state: Any, payload: Any) -> tuple[ReportKind, Any]:
    try:
        return ReportKind.DONE, work(state, payload)
    except Exception as error:  # noqa: BLE001  the worker boundary: every reason travels back as text
        return failed_job(error)
