"""Run jobs on Ray actors: this machine's processors, or a cluster's."""

from __future__ import annotations

import logging
import os
import socket
import time
from typing import TYPE_CHECKING
from typing import Any

import ray
from ray.exceptions import RayActorError
from ray.exceptions import RayError
from ray.exceptions import RaySystemError

from automl.core.errors import ExecutionError
from automl.execution.pool import Report
from automl.execution.pool import ReportKind
from automl.execution.pool import WorkerPool
from automl.execution.pool import available_cpus
from automl.execution.pool import check_workers
from automl.execution.pool import failed_job
from automl.execution.pool import failure_text

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RayExecutor", "probe_cluster"]

_QUIET = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_USAGE_STATS_ENABLED": "0"}
_PROBE_S = 5.0


class _Actor:
    """Holds one worker's state; never raises, so that every reason travels back as text."""

    def __init__(self, work: Callable[[Any, Any], Any]) -> None:
        self._work = work
        self._state: Any = None

    def prepare(self, setup: Callable[[], Any]) -> tuple[str, Any, float]:
        """Build the state."""
        start = time.perf_counter()
        try:
            self._state = setup()
        except Exception as error:  # noqa: BLE001  the worker boundary
            return ReportKind.SETUP_FAILED, failure_text(error), time.perf_counter() - start
        return ReportKind.READY, None, time.perf_counter() - start

    def run(self, payload: Any) -> tuple[str, Any, float]:
        """Run one job."""
        start = time.perf_counter()
        try:
            kind, value = ReportKind.DONE, self._work(self._state, payload)
        except Exception as error:  # noqa: BLE001  the worker boundary
            kind, value = failed_job(error)
        return kind, value, time.perf_counter() - start


class RayExecutor(WorkerPool):
    """Runs jobs on Ray actors of one processor and one numerical thread each.

    ``setup`` and ``work`` go to Ray's object store once, with the arrays that partials carry; every actor
    reads them from there. On a cluster the package must be installed on each node. An exclusive job waits
    for this run's other jobs; it knows nothing of other runs on the cluster.

    Args:
        workers: number of actors.
        address: address of a running cluster, ``auto`` for the one of this machine; None starts Ray here and
            stops it at ``close``. A runtime that is already connected is used and left running.
        timeout_s: seconds after which a job fails and its actor is replaced; None for no limit.
        oversubscribe: allow more workers than this machine has processors when Ray is started here.

    Raises:
        ConfigError: more workers than processors, or a time-out that is not positive.
    """

    def __init__(
        self,
        workers: int,
        address: str | None = None,
        *,
        timeout_s: float | None = None,
        oversubscribe: bool = False,
    ) -> None:
        check_workers(workers, max(workers, 1) if oversubscribe or address else available_cpus())
        super().__init__(workers, timeout_s)
        self._address = address
        self._owns_runtime = False
        self._setup_ref: Any = None
        self._work_ref: Any = None
        self._actors: dict[int, Any] = {}
        self._pending: dict[Any, int] = {}

    def _prepare(self, setup: Callable[[], Any], work: Callable[[Any, Any], Any]) -> None:
        if not ray.is_initialized():
            self._connect()
        try:
            self._setup_ref, self._work_ref = ray.put(setup), ray.put(work)
        except (RayError, TypeError, AttributeError, ValueError) as error:
            self.close()
            raise ExecutionError(f"the work cannot be sent to Ray workers: {failure_text(error)}") from error

    def _connect(self) -> None:
        if self._address:
            probe_cluster(self._address)
        os.environ.update({k: v for k, v in _QUIET.items() if k not in os.environ})
        try:
            ray.init(
                # Without "local" Ray joins any runtime that another user of the machine left running.
                address=self._address or "local",
                num_cpus=None if self._address else self.workers,
                include_dashboard=None if self._address else False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                configure_logging=True,
            )
        except Exception as error:  # Ray raises bare exceptions when a start takes too long.
            where = f"the cluster at '{self._address}'" if self._address else "Ray on this machine"
            raise ExecutionError(
                f"cannot start or reach {where}: {failure_text(error)}; check the address, or leave Ray out"
            ) from error
        self._owns_runtime = True

    def _launch(self, slot: int) -> None:
        actor = ray.remote(_Actor).options(num_cpus=1, max_restarts=0).remote(self._work_ref)
        self._actors[slot] = actor
        self._pending[actor.prepare.remote(self._setup_ref)] = slot

    def _assign(self, slot: int, payload: Any) -> None:
        self._pending[self._actors[slot].run.remote(payload)] = slot

    def _wait(self, timeout_s: float | None) -> list[Report]:
        ready, _ = ray.wait(list(self._pending), num_returns=1, timeout=timeout_s)
        reports = []
        for reference in ready:
            slot = self._pending.pop(reference)
            try:
                kind, value, seconds = ray.get(reference)
            except RayActorError as error:
                self._actors.pop(slot, None)
                reports.append(Report(slot, ReportKind.DIED, _first_line(error)))
            except (RaySystemError, RayError) as error:
                # The actor answered, but its answer cannot be read here.
                reports.append(Report(slot, ReportKind.FAILED, _first_line(error)))
            else:
                reports.append(Report(slot, ReportKind(kind), value, seconds))
        return reports

    def _kill(self, slot: int) -> None:
        actor = self._actors.pop(slot, None)
        self._pending = {reference: s for reference, s in self._pending.items() if s != slot}
        if actor is not None and ray.is_initialized():
            ray.kill(actor)

    def close(self) -> None:
        """Stop the actors, and the runtime if this executor started it. A second call does nothing."""
        super().close()
        self._setup_ref = self._work_ref = None
        if self._owns_runtime:
            self._owns_runtime = False
            ray.shutdown()


def probe_cluster(address: str) -> None:
    """Raise ExecutionError when nothing answers at HOST:PORT; Ray itself would wait for minutes."""
    host, separator, port = address.rpartition("://")[2].rpartition(":")
    if not separator or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=_PROBE_S).close()
    except OSError as error:
        raise ExecutionError(
            f"cannot reach the cluster at '{address}': {error.strerror or error}; check the address, or "
            "leave it out to run on this machine"
        ) from error


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
