"""Run jobs on Ray actors: this machine's processors, or a cluster's."""

from __future__ import annotations

import logging
import math
import os
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

import ray
from ray._private import ray_constants
from ray.exceptions import RayActorError
from ray.exceptions import RayError
from ray.exceptions import RaySystemError

from automl.core.errors import ExecutionError
from automl.execution.last_words import LastWords
from automl.execution.memory_guard import run_guarded
from automl.execution.pool import Report
from automl.execution.pool import ReportKind
from automl.execution.pool import WorkerPool
from automl.execution.pool import available_cpus
from automl.execution.pool import check_workers
from automl.execution.pool import failed_job
from automl.execution.pool import failure_text
from automl.execution.resources import WorkerResources

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RayExecutor", "probe_cluster"]

_log = logging.getLogger(__name__)
#: No warnings and no telemetry; and a worker is not put behind everything else, for it times.
_SETTINGS = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
}
_PROBE_S = 5.0
#: Seconds between looks at a cluster that says nothing.
_LOOK_S = 2.0
#: Seconds without room for a single worker after which the run ends.
_ROOM_S = 300.0
#: Seconds for which a node that refuses to write gets no new workers.
_ASIDE_S = 60.0
#: What an actor says first; all else is a ReportKind.
_PLACED = "placed"


class _Actor:
    """Holds one worker's state; never raises, so that every reason travels back as text."""

    def __init__(self, work: Callable[[Any, Any], Any], memory_bytes: int | None) -> None:
        self._work = work
        self._memory_bytes = memory_bytes
        self._state: Any = None

    def hello(self) -> tuple[str, Any, float]:
        """Say on which node the actor has its place."""
        return _PLACED, ray.get_runtime_context().get_node_id(), 0.0

    def prepare(self, setup: Callable[[], Any]) -> tuple[str, Any, float]:
        """Build the state."""
        start = time.perf_counter()
        try:
            self._state = setup()
        except Exception as error:  # noqa: BLE001  the worker boundary
            kind, reason = failed_job(error)
            kind = kind if kind is ReportKind.BROKEN else ReportKind.SETUP_FAILED
            return kind, reason, time.perf_counter() - start
        return ReportKind.READY, None, time.perf_counter() - start

    def run(self, payload: Any) -> tuple[str, Any, float]:
        """Run one job."""
        start = time.perf_counter()
        kind, value = run_guarded(self._work, self._state, payload, self._memory_bytes)
        return kind, value, time.perf_counter() - start


@dataclass(frozen=True)
class _Shared:
    """Fetches a shared value when it is called, on whatever node that happens."""

    reference: Any

    def __call__(self) -> Any:
        return ray.get(self.reference)


class RayExecutor(WorkerPool):
    """Runs jobs on Ray actors, by default of one processor and one numerical thread each.

    ``setup`` and ``work`` go to Ray's object store once, with the arrays that partials carry; every actor
    reads them from there. On a cluster the package must be installed on each node. Workers are asked for up
    to ``workers``; those that find no room wait until a node joins, and the job of one that leaves is done by
    another. A node whose disk refuses to write gets no work for a minute while others have room for it. An
    exclusive job waits for this run's other jobs; it knows nothing of other runs on the cluster, unless nodes
    are kept for timing by a resource of their own.

    Args:
        workers: number of actors.
        address: address of a running cluster, ``auto`` for the one of this machine; None starts Ray here,
            reachable from this machine alone and without dashboard, and stops it at ``close``. A runtime that
            is already connected is used and left running.
        timeout_s: seconds after which a job fails and its actor is replaced; None for no limit.
        oversubscribe: allow more workers than this machine has processors when Ray is started here.
        resources: what each worker reserves and how much memory it may take; one processor when None.
        on_lost: sentence that is said when the Ray node of this machine is gone, which ends this process at
            once; None for silence.
        timing: resource of the nodes that time: exclusive jobs run there, in one actor that takes 1 of it and
            no processor, while shared jobs run elsewhere. None to time on a worker when all others are idle.

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
        resources: WorkerResources | None = None,
        timing: str | None = None,
        on_lost: str | None = None,
    ) -> None:
        check_workers(workers, max(workers, 1) if oversubscribe or address else available_cpus())
        super().__init__(workers, timeout_s, timing_slot=timing is not None)
        self._resources = resources or WorkerResources()
        self._timing = timing
        # The node of each worker that has a place, and until when a node gets no workers.
        self._on_lost = on_lost
        self._last_words: LastWords | None = None
        self._placed: dict[int, str] = {}
        self._aside: dict[str, float] = {}
        self._waiting_since: float | None = None
        self._address = address
        self._owns_runtime = False
        # An object lives in the store as long as somebody holds its reference.
        self._shared: list[Any] = []
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

    def share(self, value: Any) -> Callable[[], Any]:
        """Put a value into the object store once; what is returned travels to workers and gets it there.

        Raises:
            ExecutionError: Ray cannot be started or reached, or the value cannot be sent.
        """
        if not ray.is_initialized():
            self._connect()
        try:
            self._shared.append(ray.put(value))
        except (RayError, TypeError, AttributeError, ValueError) as error:
            self.close()
            raise ExecutionError(f"the data cannot be sent to Ray workers: {failure_text(error)}") from error
        return _Shared(self._shared[-1])

    def _connect(self) -> None:
        if self._address:
            probe_cluster(self._address)
        os.environ.update({k: v for k, v in _SETTINGS.items() if k not in os.environ})
        # Ray takes the address of the network for its own unless it believes that it can form no cluster; its
        # ports run any code that is sent to them.
        cluster, ray_constants.ENABLE_RAY_CLUSTER = (
            ray_constants.ENABLE_RAY_CLUSTER,
            self._address is not None,
        )
        try:
            ray.init(
                # Without an address Ray would join whatever cluster runs here or the environment names.
                address=self._address or "local",
                num_cpus=None if self._address else math.ceil(self.workers * self._resources.cpus),
                resources=None if self._address else self._own_resources(),
                include_dashboard=None if self._address else False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                configure_logging=True,
            )
        except Exception as error:  # Ray raises bare exceptions when a start takes too long.
            where = f"the cluster at '{self._address}'" if self._address else "Ray on this machine"
            raise ExecutionError(
                f"cannot start or reach {where}: {failure_text(error)}; check the address (and that "
                "RAY_AUTH_MODE=token is set where the cluster asks for a token), or leave Ray out"
            ) from error
        finally:
            ray_constants.ENABLE_RAY_CLUSTER = cluster
        self._owns_runtime = True
        self._last_words = LastWords(self._on_lost) if self._on_lost is not None else None

    def _own_resources(self) -> dict[str, float]:
        """Return the named resources of a runtime that is started here: enough for every worker."""
        named = {name: amount * self.workers for name, amount in self._resources.named.items()}
        return named if self._timing is None else {**named, self._timing: 1.0}

    def _launch(self, slot: int) -> None:
        wanted = self._resources
        if slot == self._timing_slot and self._timing is not None:
            options: dict[str, Any] = {"num_cpus": 0, "resources": {self._timing: 1.0}}
        else:
            options = {"num_cpus": wanted.cpus, "num_gpus": wanted.gpus, "resources": dict(wanted.named)}
            if wanted.memory_bytes is not None:
                options["memory"] = wanted.memory_bytes
        aside = self._nodes_aside()
        if aside:
            options["label_selector"] = {"ray.io/node-id": f"!in({','.join(aside)})"}
        made = ray.remote(_Actor).options(max_restarts=0, **options)
        actor = made.remote(self._work_ref, wanted.memory_bytes)
        self._actors[slot] = actor
        self._pending[actor.hello.remote()] = slot
        self._pending[actor.prepare.remote(self._setup_ref)] = slot

    def _is_placed(self, slot: int) -> bool:
        return slot in self._placed

    def _nodes_aside(self) -> list[str]:
        now = time.monotonic()
        self._aside = {node: until for node, until in self._aside.items() if until > now}
        return sorted(self._aside)

    def _set_aside(self, slot: int, reason: str) -> bool:
        node = self._placed.get(slot)
        if node is None:
            return False
        self._aside[node] = time.monotonic() + _ASIDE_S
        needed = {"CPU": self._resources.cpus, **self._resources.named}
        if slot == self._timing_slot and self._timing is not None:
            needed = {self._timing: 1.0}
        others = [
            other
            for other in ray.nodes()
            if other["Alive"]
            and other["NodeID"] not in self._aside
            and all(other["Resources"].get(name, 0.0) >= amount for name, amount in needed.items())
        ]
        if others:
            _log.warning("node %s gets no work for %g s: %s", node[:12], _ASIDE_S, reason)
        return bool(others)

    def _assign(self, slot: int, payload: Any) -> None:
        self._pending[self._actors[slot].run.remote(payload)] = slot

    def _wait(self, timeout_s: float | None) -> list[Report]:
        patience = _LOOK_S if timeout_s is None else min(timeout_s, _LOOK_S)
        ready, _ = ray.wait(list(self._pending), num_returns=1, timeout=patience)
        self._check_room()
        reports = []
        for reference in ready:
            if reference not in self._pending:
                continue  # Its actor was given up on a message before.
            slot = self._pending.pop(reference)
            try:
                kind, value, seconds = ray.get(reference)
            except RayActorError as error:
                self._forget(slot)
                reports.append(Report(slot, ReportKind.DIED, _first_line(error)))
            except (RaySystemError, RayError) as error:
                # The actor answered, but its answer cannot be read here.
                reports.append(Report(slot, ReportKind.FAILED, _first_line(error)))
            else:
                if kind == _PLACED:
                    self._placed[slot] = value
                    continue
                reports.append(Report(slot, ReportKind(kind), value, seconds))
        return reports

    def _check_room(self) -> None:
        """Raise ExecutionError when no worker has found a place for long."""
        if self._placed or not self._actors:
            self._waiting_since = None
            return
        now = time.monotonic()
        if self._waiting_since is None:
            self._waiting_since = now
        if now - self._waiting_since > _ROOM_S:
            wanted, held = self._resources, ray.cluster_resources()
            self.close()
            raise ExecutionError(
                f"the cluster had no room for a worker within {_ROOM_S:g} s: each needs CPU={wanted.cpus:g} "
                f"GPU={wanted.gpus:g} {dict(wanted.named)}, the cluster has {held}; add nodes, or ask for "
                "less with --workers-resources"
            )

    def _forget(self, slot: int) -> Any:
        """Drop what is known of a slot's actor and return it."""
        self._placed.pop(slot, None)
        self._pending = {reference: s for reference, s in self._pending.items() if s != slot}
        return self._actors.pop(slot, None)

    def _kill(self, slot: int) -> None:
        actor = self._forget(slot)
        if actor is not None and ray.is_initialized():
            ray.kill(actor)

    def close(self) -> None:
        """Stop the actors, and the runtime if this executor started it. A second call does nothing."""
        super().close()
        self._setup_ref = self._work_ref = None
        self._shared.clear()
        if self._owns_runtime:
            self._owns_runtime = False
            ray.shutdown()
        if self._last_words is not None:
            self._last_words.dismiss()
            self._last_words = None


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
