"""What an executor promises: run jobs in two lanes, hand back completions, never hang on a dead worker."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from typing import Any
from typing import Protocol
from typing import runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator

__all__ = ["Completion", "Executor", "Job", "Lane"]


class Lane(StrEnum):
    """``SHARED`` jobs run as many at a time as fit; an ``EXCLUSIVE`` job has the device to itself."""

    SHARED = "shared"
    EXCLUSIVE = "exclusive"


@dataclass(frozen=True)
class Job:
    """One piece of work.

    Args:
        key: unique name within the run.
        payload: picklable plain data handed to the work function.
        lane: see :class:`Lane`.
    """

    key: str
    payload: Any
    lane: Lane = Lane.SHARED


@dataclass(frozen=True)
class Completion:
    """The end of one job.

    Args:
        key: the job's key.
        value: what the work function returned; None when it failed.
        failure: reason of failure, or None.
        seconds: wall time of the job.
    """

    key: str
    value: Any = None
    failure: str | None = None
    seconds: float = 0.0


@runtime_checkable
class Executor(Protocol):
    """Runs ``work(state, payload)`` for submitted jobs, where ``state = setup()`` is built once per worker.

    ``setup`` and ``work`` are picklable module-level callables (or partials of them). An exception in
    ``work`` becomes a failed completion whose text holds the exception's message; a worker that dies is
    replaced, and its job is tried again twice before it fails. A full or read-only disk is no job's failure:
    another machine takes over where there is one, else ``completions`` raises it as the run's error.
    Completions come in the order of submission, whatever order they finished in, so that a run is a function
    of its seed alone. Shared jobs run before exclusive ones.
    """

    workers: int

    def start(self, setup: Callable[[], Any], work: Callable[[Any, Any], Any]) -> None:
        """Start the workers."""

    def submit(self, job: Job) -> None:
        """Queue a job."""

    def completions(self) -> Iterator[Completion]:
        """Yield the completion of every job submitted so far, in order of submission; blocks for each."""

    def cancel(self) -> None:
        """Forget all submitted jobs; those already running end unheard."""

    def close(self) -> None:
        """Stop the workers; jobs still running are abandoned."""
