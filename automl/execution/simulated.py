"""Run jobs on a virtual clock: real results, invented durations; for tests of scaling and order."""

from __future__ import annotations

import heapq
from collections import deque
from typing import TYPE_CHECKING
from typing import Any

from automl.core.errors import ConfigError
from automl.core.errors import ExecutionError
from automl.execution.base import Completion
from automl.execution.base import Lane
from automl.execution.pool import MAX_RETRIES
from automl.execution.pool import ReportKind
from automl.execution.pool import failed_job
from automl.execution.pool import failure_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator

    from automl.execution.base import Job

__all__ = ["SimulatedExecutor"]


class SimulatedExecutor:
    """Runs ``work`` in this process and books its cost on ``workers`` imaginary workers.

    The schedule is the one of the real executors: shared jobs first, each on the worker that is free first;
    an exclusive job when everything else has ended, alone, or at once on a timing device where there are any.

    Args:
        workers: number of imaginary workers, as many as wanted.
        cost: payload -> seconds the job takes, at least 0.
        dies: (key, attempt from 0) -> whether the worker dies at the end of that attempt.
        setup_s: seconds before a worker's first job, and before the first job after its death.
        timing_devices: devices beside the workers that take the exclusive jobs; 0 for none.

    Raises:
        ConfigError: fewer than one worker, or a negative number of devices.
    """

    def __init__(
        self,
        workers: int,
        cost: Callable[[Any], float],
        *,
        dies: Callable[[str, int], bool] | None = None,
        setup_s: float = 0.0,
        timing_devices: int = 0,
    ) -> None:
        if workers < 1 or timing_devices < 0:
            raise ConfigError(
                f"workers={workers} and timing_devices={timing_devices}: give at least one worker and no "
                "negative number of devices"
            )
        self.workers = workers
        #: Virtual intervals: (key, start, end) of every attempt, in the order they were started.
        self.history: list[tuple[str, float, float]] = []
        self._cost = cost
        self._dies = dies
        self._setup_s = setup_s
        self._now = 0.0
        self._calls: tuple[Callable[[], Any], Callable[[Any, Any], Any]] | None = None
        self._state: tuple[Any] | None = None
        self._order: dict[str, None] = {}
        self._submitted: dict[str, float] = {}
        self._waiting: dict[Lane, deque[Job]] = {lane: deque() for lane in Lane}
        self._done: dict[str, tuple[Completion, float]] = {}
        # (free at, worker); a worker that was never used is free at 0 but has to be set up.
        self._free: list[tuple[float, int]] = []
        self._devices: list[tuple[float, int]] = []
        self._timing_devices = timing_devices
        self._ready: set[int] = set()
        # The end of everything booked on workers, and of the last job that had the machine to itself.
        self._last_end = self._alone_until = 0.0

    def now(self) -> float:
        """Return the virtual time in seconds; use it as the run's clock."""
        return self._now

    def start(self, setup: Callable[[], Any], work: Callable[[Any, Any], Any]) -> None:
        """Keep the callables; ``setup`` runs once before the first job.

        Raises:
            ExecutionError: already started.
        """
        if self._calls is not None:
            raise ExecutionError("the executor is already started; close it before starting it again")
        self._calls = (setup, work)
        self._free = [(self._now, worker) for worker in range(self.workers)]
        after = range(self.workers, self.workers + self._timing_devices)
        self._devices = [(self._now, device) for device in after]
        self._last_end = self._alone_until = self._now

    def submit(self, job: Job) -> None:
        """Queue a job.

        Raises:
            ExecutionError: not started, or the key is in use.
        """
        if self._calls is None:
            raise ExecutionError(
                f"job {job.key} was submitted to an executor that is not started; call start first"
            )
        if job.key in self._order:
            raise ExecutionError(f"job {job.key} was submitted twice; keys must be unique among open jobs")
        self._order[job.key] = None
        self._submitted[job.key] = self._now
        self._waiting[job.lane].append(job)

    def completions(self) -> Iterator[Completion]:
        """Yield completions in order of submission; the clock shows when each one was known.

        Raises:
            ExecutionError: the worker state cannot be set up, or the disk is full or read-only.
        """
        while self._order:
            key = next(iter(self._order))
            while key not in self._done:
                self._step()
            completion, known = self._done.pop(key)
            del self._order[key]
            self._now = max(self._now, known)
            yield completion

    def cancel(self) -> None:
        """Forget all submitted jobs."""
        self._order.clear()
        self._done.clear()
        self._submitted.clear()
        for queue in self._waiting.values():
            queue.clear()

    def close(self) -> None:
        """Forget jobs, workers and state. A second call does nothing."""
        self.cancel()
        self._calls = self._state = None
        self._free, self._devices, self._ready = [], [], set()

    def _step(self) -> None:
        """Book the next job on the worker that takes it."""
        if self._waiting[Lane.SHARED]:
            self._on_first_free(self._waiting[Lane.SHARED].popleft(), self._free, self._alone_until)
        elif self._devices:
            self._on_first_free(self._waiting[Lane.EXCLUSIVE].popleft(), self._devices, 0.0)
        else:
            job = self._waiting[Lane.EXCLUSIVE].popleft()
            self._alone_until = self._book(job, 0, max(self._submitted.pop(job.key), self._last_end))

    def _on_first_free(self, job: Job, free: list[tuple[float, int]], earliest: float) -> None:
        at, worker = heapq.heappop(free)
        end = self._book(job, worker, max(at, earliest, self._submitted.pop(job.key)))
        heapq.heappush(free, (end, worker))

    def _book(self, job: Job, worker: int, start: float) -> float:
        seconds = float(self._cost(job.payload))
        for attempt in range(MAX_RETRIES + 1):
            start += 0.0 if worker in self._ready else self._setup_s
            end = start + seconds
            self.history.append((job.key, start, end))
            if self._dies is None or not self._dies(job.key, attempt):
                self._ready.add(worker)
                completion = self._run(job, seconds)
                break
            self._ready.discard(worker)
            start = end
            text = f"its worker died {attempt + 1} times"
            completion = Completion(job.key, None, text, seconds)
        self._done[job.key] = (completion, end)
        self._last_end = max(self._last_end, end)
        return end

    def _run(self, job: Job, seconds: float) -> Completion:
        if self._calls is None:
            raise ExecutionError(
                f"job {job.key} outlived its executor; do not close it while jobs are awaited"
            )
        setup, work = self._calls
        if self._state is None:
            try:
                self._state = (setup(),)
            except Exception as error:
                raise ExecutionError(f"a worker cannot be set up: {failure_text(error)}") from error
        try:
            return Completion(job.key, work(self._state[0], job.payload), None, seconds)
        except Exception as error:
            kind, failure = failed_job(error)
            if kind is ReportKind.BROKEN:
                raise ExecutionError(failure) from error
            return Completion(job.key, None, failure, seconds)
