# ruff: noqa: D102  the names of the tests say what they check
"""What every executor must do; subclass it in a test module and say how yours is built.

    class TestMyExecutor(IsolatedExecutorSuite):
        def build(self): return MyExecutor(workers=2)

The work functions live here, because worker processes import them by name.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from abc import ABC
from abc import abstractmethod
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import pytest

from automl.core.errors import AutomlError
from automl.core.errors import EvaluationError
from automl.core.errors import ExecutionError
from automl.execution.base import Executor
from automl.execution.base import Job
from automl.execution.base import Lane

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Mapping

    from automl.execution.base import Completion

__all__ = ["ExecutorSuite", "IsolatedExecutorSuite", "act", "build_state", "refuse_state"]


def build_state(base: int = 0) -> dict[str, Any]:
    """Return a worker state that counts its own jobs."""
    return {"base": base, "jobs": 0, "pid": os.getpid()}


def refuse_state() -> None:
    """Raise, as a set-up does whose model is missing."""
    raise EvaluationError("there is no model at this place")


def act(state: dict[str, Any], payload: Mapping[str, Any]) -> Any:
    """Do what the payload says.

    Keys: ``add`` (returns the state's base plus it), ``fail`` (raises EvaluationError with this text),
    ``crash`` (raises ValueError), ``full`` (raises EvaluationError caused by a full disk), ``sleep`` (seconds
    first), ``interval`` (returns start and end on the machine's monotonic clock), ``die`` (a file: kills the
    process unless the file already has as many lines as ``deaths`` says), ``take`` (bytes to hold for ten
    seconds), ``pid`` (returns the process and
    how many jobs its state has seen).
    """
    state["jobs"] += 1
    start = time.monotonic()
    if "die" in payload:
        marks = Path(payload["die"])
        seen = len(marks.read_text().splitlines()) if marks.exists() else 0
        if seen < payload.get("deaths", 1):
            marks.write_text("x\n" * (seen + 1))
            os.kill(os.getpid(), signal.SIGKILL)
    if "take" in payload:
        held = np.ones(payload["take"], dtype=np.uint8)
        time.sleep(10.0 * float(held[0]))
    time.sleep(payload.get("sleep", 0.0))
    if "fail" in payload:
        raise EvaluationError(payload["fail"])
    if "crash" in payload:
        raise ValueError(payload["crash"])
    if "full" in payload:
        raise EvaluationError("nothing was written") from OSError(errno.ENOSPC, "No space left", "a.onnx")
    if "interval" in payload:
        return [start, time.monotonic()]
    if "pid" in payload:
        return [os.getpid(), state["jobs"]]
    return state["base"] + payload.get("add", 0)


class ExecutorSuite(ABC):
    """Holds for every executor, the one in the calling process included."""

    @abstractmethod
    def build(self) -> Executor:
        """Return a fresh executor, not started, with two workers where it can have them."""

    @pytest.fixture
    def executor(self) -> Iterator[Executor]:
        """Yield a fresh executor and close it afterwards."""
        executor = self.build()
        yield executor
        executor.close()

    def run(self, executor: Executor, payloads: list[dict[str, Any]]) -> list[Completion]:
        """Submit payloads as shared jobs named by position and return all completions."""
        for position, payload in enumerate(payloads):
            executor.submit(Job(str(position), payload))
        return list(executor.completions())

    def intervals(self, executor: Executor, done: list[Completion]) -> dict[str, tuple[float, float]]:
        """Return when each job ran, by key; a simulated executor overrides it with its virtual times."""
        return {c.key: (c.value[0], c.value[1]) for c in done}

    def test_is_an_executor(self, executor: Executor) -> None:
        assert isinstance(executor, Executor)
        assert executor.workers >= 1

    def test_completions_come_in_order_of_submission(self, executor: Executor) -> None:
        executor.start(partial(build_state, 100), act)
        done = self.run(executor, [{"add": i, "sleep": 0.06 * (i == 0)} for i in range(6)])
        assert [c.key for c in done] == [str(i) for i in range(6)]
        assert [c.value for c in done] == [100 + i for i in range(6)]
        assert all(c.failure is None for c in done)

    def test_jobs_can_be_submitted_again_after_completions(self, executor: Executor) -> None:
        executor.start(build_state, act)
        assert [c.value for c in self.run(executor, [{"add": 1}])] == [1]
        assert [c.value for c in self.run(executor, [{"add": 2}, {"add": 3}])] == [2, 3]
        assert list(executor.completions()) == []

    def test_exception_becomes_the_reason_and_the_rest_goes_on(self, executor: Executor) -> None:
        executor.start(build_state, act)
        done = self.run(executor, [{"fail": "layer 3 has no scale"}, {"crash": "odd"}, {"add": 7}])
        assert [c.failure for c in done] == ["layer 3 has no scale", "ValueError: odd", None]
        assert [c.value for c in done] == [None, None, 7]

    def test_a_full_disk_is_an_error_of_the_run_and_no_jobs_failure(self, executor: Executor) -> None:
        executor.start(build_state, act)
        for position, payload in enumerate([{"add": 1}, {"full": True}, {"add": 2}]):
            executor.submit(Job(str(position), payload, Lane.EXCLUSIVE))
        seen: list[Completion] = []
        with pytest.raises(ExecutionError, match=r"refuses to write 'a.onnx': No space left; free the disk"):
            seen.extend(executor.completions())
        assert all(c.failure is None for c in seen)

    def test_exclusive_never_overlaps_anything(self, executor: Executor) -> None:
        executor.start(build_state, act)
        exclusive = {"1", "4"}
        for position in range(7):
            lane = Lane.EXCLUSIVE if str(position) in exclusive else Lane.SHARED
            executor.submit(Job(str(position), {"interval": True, "sleep": 0.03}, lane))
        done = list(executor.completions())
        assert [c.key for c in done] == [str(i) for i in range(7)]
        times = self.intervals(executor, done)
        for key in exclusive:
            start, end = times[key]
            others = [times[other] for other in times if other != key]
            assert all(s >= end or e <= start for s, e in others)

    def test_shared_jobs_run_before_exclusive_ones(self, executor: Executor) -> None:
        executor.start(build_state, act)
        executor.submit(Job("time", {"interval": True}, Lane.EXCLUSIVE))
        executor.submit(Job("a", {"interval": True, "sleep": 0.02}))
        executor.submit(Job("b", {"interval": True}))
        done = list(executor.completions())
        if executor.workers > 1:
            times = self.intervals(executor, done)
            assert times["time"][0] >= max(times["a"][1], times["b"][1])
        assert [c.key for c in done] == ["time", "a", "b"]

    def test_cancelled_jobs_are_not_reported(self, executor: Executor) -> None:
        executor.start(build_state, act)
        for position in range(5):
            executor.submit(Job(str(position), {"add": position}))
        first = next(executor.completions())
        executor.cancel()
        assert first.value == 0
        assert [c.value for c in self.run(executor, [{"add": 50}])] == [50]

    def test_failed_setup_is_an_error_of_the_run(self, executor: Executor) -> None:
        executor.start(refuse_state, act)
        executor.submit(Job("0", {"add": 1}))
        with pytest.raises(ExecutionError, match="there is no model at this place"):
            list(executor.completions())

    def test_wrong_use_is_refused(self, executor: Executor) -> None:
        with pytest.raises(AutomlError, match="not started"):
            executor.submit(Job("0", {"add": 1}))
        executor.start(build_state, act)
        with pytest.raises(AutomlError, match="already started"):
            executor.start(build_state, act)
        executor.submit(Job("0", {"add": 1}))
        with pytest.raises(AutomlError, match="twice"):
            executor.submit(Job("0", {"add": 1}))

    def test_close_is_idempotent_and_allows_a_new_start(self, executor: Executor) -> None:
        executor.start(build_state, act)
        self.run(executor, [{"add": 1}])
        executor.close()
        executor.close()
        executor.start(partial(build_state, 10), act)
        assert [c.value for c in self.run(executor, [{"add": 1}])] == [11]


class IsolatedExecutorSuite(ExecutorSuite):
    """Holds for executors whose workers are processes of their own."""

    @abstractmethod
    def build_with_timeout(self, timeout_s: float) -> Executor:
        """Return a fresh executor whose jobs end after ``timeout_s``."""

    def test_work_runs_outside_the_calling_process(self, executor: Executor) -> None:
        executor.start(build_state, act)
        done = self.run(executor, [{"pid": True, "sleep": 0.02} for _ in range(4)])
        assert os.getpid() not in {c.value[0] for c in done}

    def test_state_is_built_once_a_worker(self, executor: Executor) -> None:
        executor.start(build_state, act)
        done = self.run(executor, [{"pid": True} for _ in range(6)])
        last = {c.value[0]: c.value[1] for c in done}
        assert sum(last.values()) == 6

    def test_job_of_a_dead_worker_is_tried_again(self, executor: Executor, tmp_path: Path) -> None:
        executor.start(partial(build_state, 5), act)
        marks = tmp_path / "deaths"
        done = self.run(executor, [{"add": 1}, {"add": 2, "die": str(marks), "deaths": 2}, {"add": 3}])
        assert [c.value for c in done] == [6, 7, 8]
        assert len(marks.read_text().splitlines()) == 2

    def test_job_that_keeps_killing_workers_fails_with_a_reason(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        executor.start(build_state, act)
        marks = tmp_path / "deaths"
        done = self.run(executor, [{"die": str(marks), "deaths": 99}, {"add": 3}])
        assert done[0].failure is not None
        assert "worker died 3 times" in done[0].failure
        assert (done[1].value, done[1].failure) == (3, None)
        assert len(marks.read_text().splitlines()) == 3

    def test_job_over_its_time_fails_and_the_rest_goes_on(self) -> None:
        executor = self.build_with_timeout(0.5)
        try:
            executor.start(build_state, act)
            start = time.monotonic()
            done = self.run(executor, [{"sleep": 60}, {"add": 4}])
            assert done[0].failure is not None
            assert "0.5 s" in done[0].failure
            assert done[1].value == 4
            assert time.monotonic() - start < 30
        finally:
            executor.close()

    def test_close_does_not_wait_for_running_jobs(self, executor: Executor) -> None:
        executor.start(build_state, act)
        self.run(executor, [{"add": 1}])
        executor.submit(Job("long", {"sleep": 60}))
        start = time.monotonic()
        executor.close()
        assert time.monotonic() - start < 20
