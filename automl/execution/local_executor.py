"""Run jobs on this machine: in the calling process, or in worker processes of one thread each."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import deque
from multiprocessing import Pipe
from multiprocessing import connection as mp_connection
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from automl.core.errors import ExecutionError
from automl.execution.base import Completion
from automl.execution.pool import Report
from automl.execution.pool import ReportKind
from automl.execution.pool import WorkerPool
from automl.execution.pool import available_cpus
from automl.execution.pool import check_workers
from automl.execution.pool import failed_job
from automl.execution.pool import failure_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

    from automl.execution.base import Executor
    from automl.execution.base import Job

__all__ = ["InlineExecutor", "LocalExecutor", "ProcessExecutor"]

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class InlineExecutor:
    """Runs each job in the calling process, when its completion is awaited.

    Nothing is isolated: a job that kills its process kills the run, and there is no time-out.
    """

    def __init__(self) -> None:
        self.workers = 1
        self._jobs: deque[Job] = deque()
        self._setup: Callable[[], Any] | None = None
        self._work: Callable[[Any, Any], Any] | None = None
        self._state: tuple[Any] | None = None

    def start(self, setup: Callable[[], Any], work: Callable[[Any, Any], Any]) -> None:
        """Keep the callables; ``setup`` runs before the first job.

        Raises:
            ExecutionError: already started.
        """
        if self._work is not None:
            raise ExecutionError("the executor is already started; close it before starting it again")
        self._setup, self._work = setup, work

    def submit(self, job: Job) -> None:
        """Queue a job.

        Raises:
            ExecutionError: not started, or the key is in use.
        """
        if self._work is None:
            raise ExecutionError(
                f"job {job.key} was submitted to an executor that is not started; call start first"
            )
        if any(job.key == other.key for other in self._jobs):
            raise ExecutionError(f"job {job.key} was submitted twice; keys must be unique among open jobs")
        self._jobs.append(job)

    def completions(self) -> Iterator[Completion]:
        """Run the queued jobs one by one.

        Raises:
            ExecutionError: the worker state cannot be set up, or the disk is full or read-only.
        """
        while self._jobs:
            yield self._run(self._jobs.popleft())

    def _run(self, job: Job) -> Completion:
        if self._work is None or self._setup is None:
            raise ExecutionError(
                f"job {job.key} outlived its executor; do not close it while jobs are awaited"
            )
        if self._state is None:
            try:
                self._state = (self._setup(),)
            except Exception as error:
                raise ExecutionError(f"a worker cannot be set up: {failure_text(error)}") from error
        start = time.perf_counter()
        try:
            value, failure = self._work(self._state[0], job.payload), None
        except Exception as error:
            kind, failure = failed_job(error)
            if kind is ReportKind.BROKEN:
                raise ExecutionError(failure) from error
            value = None
        return Completion(job.key, value, failure, time.perf_counter() - start)

    def cancel(self) -> None:
        """Forget all queued jobs."""
        self._jobs.clear()

    def close(self) -> None:
        """Forget jobs and state. A second call does nothing."""
        self.cancel()
        self._setup = self._work = self._state = None


class ProcessExecutor(WorkerPool):
    """Runs jobs in worker processes that share nothing with the driver.

    Args:
        workers: number of processes.
        timeout_s: seconds after which a job fails and its process is replaced; None for no limit.
        threads: threads each worker's numerical libraries may use.
        oversubscribe: allow more workers than processors.
        memory_bytes: largest resident set of a worker, above which its job fails; None for no cap.

    Raises:
        ConfigError: more workers than processors, or a time-out that is not positive.
    """

    def __init__(
        self,
        workers: int,
        *,
        timeout_s: float | None = None,
        threads: int = 1,
        oversubscribe: bool = False,
        memory_bytes: int | None = None,
    ) -> None:
        check_workers(workers, max(workers, 1) if oversubscribe else available_cpus())
        super().__init__(workers, timeout_s)
        self._threads = threads
        self._memory_bytes = memory_bytes
        self._callables: Any = None
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._pipes: dict[int, Connection[Any, Any]] = {}

    def _prepare(self, setup: Callable[[], Any], work: Callable[[Any, Any], Any]) -> None:
        for role, function in (("setup", setup), ("work", work)):
            target = getattr(function, "func", function)
            if getattr(target, "__module__", None) == "__main__":
                raise ExecutionError(
                    f"the {role} function '{getattr(target, '__name__', target)}' is defined in the main "
                    "script, which worker processes do not import; move it into a module, or use one worker"
                )
        self._callables = (setup, work, self._memory_bytes)

    def _launch(self, slot: int) -> None:
        ours, theirs = Pipe()
        environment = {**os.environ, **dict.fromkeys(_THREAD_VARIABLES, str(self._threads))}
        descriptor = theirs.fileno()
        command = [sys.executable, "-P", "-m", "automl.execution.worker", str(descriptor), str(os.getpid())]
        path = os.pathsep.join(p for p in [_package_root(), environment.get("PYTHONPATH", "")] if p)
        try:
            # A group of its own keeps Ctrl-C for the driver; prints go to stderr, stdout belongs to results.
            process = subprocess.Popen(
                command,
                env={**environment, "PYTHONPATH": path},
                pass_fds=(descriptor,),
                stdin=subprocess.DEVNULL,
                stdout=2,
                process_group=0,
            )
        except OSError as error:
            raise ExecutionError(
                f"a worker process cannot be started: {error.strerror}; use fewer workers"
            ) from error
        finally:
            theirs.close()
        self._processes[slot], self._pipes[slot] = process, ours
        try:
            ours.send(sys.path)
            ours.send(self._callables)
        except OSError:
            return  # It died already; its closed pipe reports that.
        except Exception as error:
            raise ExecutionError(f"the work cannot be sent to a worker: {failure_text(error)}") from error

    def _assign(self, slot: int, payload: Any) -> None:
        try:
            self._pipes[slot].send(payload)
        except OSError:
            return  # It died while idle; its closed pipe reports that.

    def _wait(self, timeout_s: float | None) -> list[Report]:
        slots = {pipe: slot for slot, pipe in self._pipes.items()}
        reports = []
        for ready in mp_connection.wait(list(slots), timeout_s):
            slot = slots[ready]  # type: ignore[index]
            try:
                kind, value, seconds = self._pipes[slot].recv()
            except (EOFError, OSError):
                reports.append(Report(slot, ReportKind.DIED, self._autopsy(slot)))
            else:
                reports.append(Report(slot, kind, value, seconds))
        return reports

    def _autopsy(self, slot: int) -> str:
        """Return what ended a dead worker, and free what it held."""
        process = self._processes.pop(slot)
        self._pipes.pop(slot).close()
        try:
            code = process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        if code < 0:
            name = signal.Signals(-code).name
            hint = ", usually for lack of memory" if -code == signal.SIGKILL else ""
            return f"signal {name}{hint}"
        return f"exit status {code}"

    def _kill(self, slot: int) -> None:
        process = self._processes.pop(slot, None)
        if process is None:
            return
        self._pipes.pop(slot).close()
        process.kill()
        process.wait()


def _package_root() -> str:
    """Return the folder that holds the package, so that workers load the same one."""
    return str(Path(__file__).resolve().parents[2])


def LocalExecutor(
    workers: int = 1,
    *,
    timeout_s: float | None = None,
    isolate: bool = False,
    threads: int = 1,
    oversubscribe: bool = False,
) -> Executor:
    """Return the executor of this machine: inline for one worker without a time-out, else processes."""
    if workers == 1 and timeout_s is None and not isolate:
        return InlineExecutor()
    return ProcessExecutor(workers, timeout_s=timeout_s, threads=threads, oversubscribe=oversubscribe)
