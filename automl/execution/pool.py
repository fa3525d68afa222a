"""Scheduling shared by every executor that has real workers: lanes, order, retries and time-outs.

A subclass says how a worker is launched, handed a job, waited for and killed; nothing here knows whether a
worker is a process or a Ray actor. There are no threads: work moves when a job is submitted or awaited.
"""

from __future__ import annotations

import errno
import os
import time
from abc import ABC
from abc import abstractmethod
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from typing import Any

from automl.core.errors import AutomlError
from automl.core.errors import ConfigError
from automl.core.errors import ExecutionError
from automl.execution.base import Completion
from automl.execution.base import Job
from automl.execution.base import Lane

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator

__all__ = [
    "MAX_RETRIES",
    "Report",
    "ReportKind",
    "WorkerPool",
    "available_cpus",
    "check_workers",
    "failed_job",
    "failure_text",
]

#: The system lets nobody write: no space, a quota, a size limit, a read-only or broken disk.
_MACHINE_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO})

#: Seconds by which a wait is late before the machine counts as suspended.
_ASLEEP_S = 5.0

#: How often a job is tried again after its worker died.
MAX_RETRIES = 2


class ReportKind(StrEnum):
    """What a worker says.

    It is ready, its set-up failed, the job ended well or badly or took too much memory, the system refuses to
    go on, or it is gone.
    """

    READY = "ready"
    SETUP_FAILED = "setup failed"
    DONE = "done"
    FAILED = "failed"
    OVER_MEMORY = "over memory"
    BROKEN = "broken"
    DIED = "died"


@dataclass(frozen=True)
class Report:
    """News from one worker.

    Args:
        slot: position of the worker.
        kind: see :class:`ReportKind`.
        value: result of the job when done, else the reason as text.
        seconds: how long the job took.
    """

    slot: int
    kind: ReportKind
    value: Any = None
    seconds: float = 0.0


@dataclass
class _Running:
    job: Job
    started: float


def available_cpus() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_workers(workers: int, limit: int) -> None:
    """Raise ConfigError unless ``workers`` is between 1 and ``limit``, the processors there are."""
    if not 1 <= workers <= limit:
        raise ConfigError(
            f"workers={workers} does not fit this machine; give a number from 1 to {limit}, its processors"
        )


def failure_text(error: BaseException) -> str:
    """Return the reason a failed job carries: our errors' sentence, or the type and text of any other."""
    text = str(error)
    return text if isinstance(error, AutomlError) and text else f"{type(error).__name__}: {text}".rstrip(": ")


def failed_job(error: BaseException) -> tuple[ReportKind, str]:
    """Return whether the job alone failed or the whole machine does, and the reason.

    A full or read-only disk says nothing about the candidate: recorded as its failure, a run that goes on
    later would never measure it.
    """
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, OSError) and link.errno in _MACHINE_ERRORS:
            place = f" '{link.filename}'" if link.filename else ""
            reason = f"the system refuses to write{place}: {link.strerror}; free the disk, then resume"
            return ReportKind.BROKEN, reason
        link = link.__cause__
    return ReportKind.FAILED, failure_text(error)


class WorkerPool(ABC):
    """Runs jobs on ``workers`` slots; see :class:`automl.execution.base.Executor` for the contract.

    Shared jobs run first, as many as there are workers. An exclusive job starts when no shared job is left
    and every worker is idle, always on the first slot, and nothing starts before it ended. With a timing slot
    exclusive jobs run there, one at a time, while shared jobs run elsewhere. A job whose worker died is tried
    again on a fresh worker, at most :data:`MAX_RETRIES` times; then it has failed for good, and so has a job
    over its time or its memory at once.

    Args:
        workers: number of workers.
        timeout_s: seconds after which a job fails and its worker is replaced; None for no limit.
        timing_slot: whether there is one more slot, on a device of its own, that takes the exclusive jobs.
    """

    def __init__(self, workers: int, timeout_s: float | None, *, timing_slot: bool = False) -> None:
        if timeout_s is not None and not timeout_s > 0:
            raise ConfigError(f"the time-out of a job must be greater than zero; got {timeout_s} s")
        self.workers = workers
        self._timeout_s = timeout_s
        self._timing_slot = workers if timing_slot else None
        self._started = False
        self._waiting: dict[Lane, deque[Job]] = {lane: deque() for lane in Lane}
        # The keys of open jobs in order of submission; a dictionary, because it is asked for members.
        self._order: dict[str, None] = {}
        self._done: dict[str, Completion] = {}
        self._deaths: dict[str, int] = {}
        self._launched: set[int] = set()
        self._idle: set[int] = set()
        self._running: dict[int, _Running] = {}
        # Deaths before being ready since somebody got ready, and slots that are not tried again until then.
        self._failed_setups = 0
        self._given_up: set[int] = set()

    @abstractmethod
    def _prepare(self, setup: Callable[[], Any], work: Callable[[Any, Any], Any]) -> None:
        """Keep what a new worker needs."""

    @abstractmethod
    def _launch(self, slot: int) -> None:
        """Start the worker of ``slot``; it reports when it is ready."""

    @abstractmethod
    def _assign(self, slot: int, payload: Any) -> None:
        """Hand a payload to an idle worker; a worker that is already gone is reported by :meth:`_wait`."""

    @abstractmethod
    def _wait(self, timeout_s: float | None) -> list[Report]:
        """Return news from workers, blocking until there is some or the time is over."""

    def _is_placed(self, slot: int) -> bool:
        """Return whether a launched worker has a place to run; one that has not disturbs nobody."""
        return True

    def _set_aside(self, slot: int, reason: str) -> bool:
        """Use the machine of a slot, which refuses to go on, no more; return whether others can take over."""
        return False

    @abstractmethod
    def _kill(self, slot: int) -> None:
        """End the worker of ``slot`` at once; it reports nothing any more."""

    def start(self, setup: Callable[[], Any], work: Callable[[Any, Any], Any]) -> None:
        """Keep the callables; workers are launched when there is work for them.

        Raises:
            ExecutionError: already started, or the callables cannot be sent to a worker.
        """
        if self._started:
            raise ExecutionError("the executor is already started; close it before starting it again")
        self._prepare(setup, work)
        self._failed_setups = 0
        self._started = True

    def submit(self, job: Job) -> None:
        """Queue a job and hand it to a worker if one is free.

        Raises:
            ExecutionError: not started, or the key is in use.
        """
        if not self._started:
            raise ExecutionError(
                f"job {job.key} was submitted to an executor that is not started; call start first"
            )
        if job.key in self._order:
            raise ExecutionError(f"job {job.key} was submitted twice; keys must be unique among open jobs")
        self._order[job.key] = None
        self._waiting[job.lane].append(job)
        if job.lane is Lane.SHARED or self._timing_slot is not None:
            self._dispatch()

    def completions(self) -> Iterator[Completion]:
        """Yield the completion of every job submitted so far, in order of submission.

        Raises:
            ExecutionError: workers cannot be set up, or the disk is full or read-only.
        """
        while self._order:
            key = next(iter(self._order))
            while key not in self._done:
                self._advance()
            del self._order[key]
            self._deaths.pop(key, None)
            yield self._done.pop(key)

    def cancel(self) -> None:
        """Forget all jobs; those already running end unheard."""
        for queue in self._waiting.values():
            queue.clear()
        self._order.clear()
        self._done.clear()
        self._deaths.clear()

    def close(self) -> None:
        """Stop the workers; jobs still running are abandoned. A second call does nothing."""
        self.cancel()
        for slot in sorted(self._launched):
            self._kill(slot)
        self._launched.clear()
        self._idle.clear()
        self._running.clear()
        self._started = False

    def _dispatch(self) -> None:
        if self._timing_slot is not None:
            self._dispatch_timing(self._timing_slot)
        elif any(running.job.lane is Lane.EXCLUSIVE for running in self._running.values()):
            return
        shared, exclusive = self._waiting[Lane.SHARED], self._waiting[Lane.EXCLUSIVE]
        for slot in sorted(self._idle - {self._timing_slot}):
            if shared:
                self._begin(slot, shared.popleft())
        coming = self._launched - self._idle - self._running.keys() - {self._timing_slot}
        if not self._launched:
            self._given_up.clear()
        for slot in range(self.workers):
            if slot not in self._launched | self._given_up and len(coming) < len(shared):
                self._start_worker(slot)
                coming.add(slot)
        alone = not shared and not self._running and not any(map(self._is_placed, coming))
        if exclusive and self._timing_slot is None and alone:
            self._time_here(exclusive)

    def _time_here(self, exclusive: deque[Job]) -> None:
        """Start an exclusive job on the first slot that is ready; the first of all unless it has no place."""
        if self._idle:
            self._begin(min(self._idle), exclusive.popleft())
        elif 0 not in self._launched:
            self._start_worker(0)

    def _dispatch_timing(self, slot: int) -> None:
        exclusive = self._waiting[Lane.EXCLUSIVE]
        if exclusive and slot in self._idle:
            self._begin(slot, exclusive.popleft())
        elif exclusive and slot not in self._launched:
            self._start_worker(slot)

    def _start_worker(self, slot: int) -> None:
        self._launched.add(slot)
        self._launch(slot)

    def _begin(self, slot: int, job: Job) -> None:
        self._idle.discard(slot)
        self._running[slot] = _Running(job, time.monotonic())
        self._assign(slot, job.payload)

    def _advance(self) -> None:
        """Hand out what can be handed out, then take one round of news."""
        self._dispatch()
        patience, before = self._patience(), time.monotonic()
        for report in self._wait(patience):
            self._take(report)
        if patience is None:
            return
        waited = time.monotonic() - before
        if waited > patience + _ASLEEP_S:
            # This machine was suspended: nobody worked in that time, or the news of it is still to be read.
            for running in self._running.values():
                running.started += waited
        self._expire()

    def _patience(self) -> float | None:
        if self._timeout_s is None or not self._running:
            return None
        oldest = min(running.started for running in self._running.values())
        return max(0.0, oldest + self._timeout_s - time.monotonic())

    def _take(self, report: Report) -> None:
        if report.slot not in self._launched:
            return
        if report.kind is ReportKind.READY:
            self._failed_setups = 0
            self._given_up.clear()
            self._idle.add(report.slot)
            return
        running = self._running.pop(report.slot, None)
        if report.kind is ReportKind.SETUP_FAILED:
            self.close()
            raise ExecutionError(f"a worker cannot be set up: {report.value}")
        if report.kind is ReportKind.BROKEN:
            self._leave(report, running)
            return
        if report.kind is ReportKind.DIED:
            self._bury(report.slot, running, str(report.value))
            return
        if report.kind is ReportKind.OVER_MEMORY:
            self._kill(report.slot)
            self._launched.discard(report.slot)
        else:
            self._idle.add(report.slot)
        if running is not None:
            done = report.kind is ReportKind.DONE
            value, failure = (report.value, None) if done else (None, str(report.value))
            self._finish(Completion(running.job.key, value, failure, report.seconds))

    def _leave(self, report: Report, running: _Running | None) -> None:
        """Give the job of a machine that refuses to go on to another one; it is no attempt of the job."""
        if not self._set_aside(report.slot, str(report.value)):
            self.close()
            raise ExecutionError(str(report.value))
        self._kill(report.slot)
        self._launched.discard(report.slot)
        self._idle.discard(report.slot)
        if running is not None and running.job.key in self._order:
            self._waiting[running.job.lane].appendleft(running.job)

    def _bury(self, slot: int, running: _Running | None, reason: str) -> None:
        """Free the slot of a dead worker and try its job again, or give the job up."""
        was_idle = slot in self._idle
        self._launched.discard(slot)
        self._idle.discard(slot)
        if running is None and was_idle:
            return
        if running is None:
            self._failed_setups += 1
            if self._failed_setups <= (MAX_RETRIES + 1) * self.workers:
                return
            # Those that got ready go on without it; a node that joins later gives the slot another chance.
            self._given_up.add(slot)
            if not self._idle and not self._running:
                self.close()
                raise ExecutionError(
                    f"workers die before they are ready: {reason}; free memory or use fewer workers"
                )
            return
        job = running.job
        if job.key not in self._order:
            return
        self._deaths[job.key] = self._deaths.get(job.key, 0) + 1
        if self._deaths[job.key] <= MAX_RETRIES:
            self._waiting[job.lane].appendleft(job)
            return
        seconds = time.monotonic() - running.started
        text = f"its worker died {self._deaths[job.key]} times, last time by: {reason}"
        self._finish(Completion(job.key, None, text, seconds))

    def _expire(self) -> None:
        if self._timeout_s is None:
            return
        now = time.monotonic()
        for slot, running in list(self._running.items()):
            if now - running.started >= self._timeout_s:
                self._kill(slot)
                self._launched.discard(slot)
                del self._running[slot]
                text = f"not finished within {self._timeout_s:g} s; allow more time for an evaluation"
                self._finish(Completion(running.job.key, None, text, now - running.started))

    def _finish(self, completion: Completion) -> None:
        """Keep a completion unless its job was cancelled."""
        if completion.key in self._order:
            self._done[completion.key] = completion
