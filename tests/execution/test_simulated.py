from __future__ import annotations

import pytest

from automl.core.errors import ConfigError
from automl.execution.base import Job
from automl.execution.base import Lane
from automl.execution.simulated import SimulatedExecutor
from automl.testing.executor_suite import ExecutorSuite
from automl.testing.executor_suite import act
from automl.testing.executor_suite import build_state


def one_second(payload):
    return 1.0


def stated(payload):
    return payload["cost"]


class TestSimulated(ExecutorSuite):
    def build(self):
        return SimulatedExecutor(2, one_second)

    def intervals(self, executor, done):
        return {key: (start, end) for key, start, end in executor.history}


def test_needs_a_worker():
    with pytest.raises(ConfigError, match="at least one"):
        SimulatedExecutor(0, one_second)
    with pytest.raises(ConfigError, match="timing_devices=-1"):
        SimulatedExecutor(1, one_second, timing_devices=-1)


@pytest.mark.parametrize(("workers", "makespan"), [(1, 12.0), (2, 6.0), (5, 3.0), (100, 1.0)])
def test_equal_jobs_take_their_number_over_the_workers(workers, makespan):
    executor = SimulatedExecutor(workers, one_second)
    executor.start(build_state, act)
    for position in range(12):
        executor.submit(Job(str(position), {"add": position}))
    assert [c.value for c in executor.completions()] == list(range(12))
    assert executor.now() == makespan


def test_clock_waits_for_the_slow_job_that_was_submitted_first():
    executor = SimulatedExecutor(2, stated)
    executor.start(build_state, act)
    for key, cost in (("slow", 5.0), ("a", 1.0), ("b", 1.0)):
        executor.submit(Job(key, {"cost": cost}))
    known = [(c.key, executor.now()) for c in executor.completions()]
    assert known == [("slow", 5.0), ("a", 5.0), ("b", 5.0)]
    assert executor.history == [("slow", 0.0, 5.0), ("a", 0.0, 1.0), ("b", 1.0, 2.0)]


def test_exclusive_jobs_do_not_scale():
    executor = SimulatedExecutor(4, one_second)
    executor.start(build_state, act)
    for position in range(8):
        executor.submit(Job(f"q{position}", {}))
        executor.submit(Job(f"t{position}", {}, Lane.EXCLUSIVE))
    list(executor.completions())
    assert executor.now() == 8 / 4 + 8


@pytest.mark.parametrize(("devices", "makespan"), [(1, 8.0), (2, 4.0), (8, 3.0)])
def test_timing_devices_time_while_the_workers_work(devices, makespan):
    executor = SimulatedExecutor(3, one_second, timing_devices=devices)
    executor.start(build_state, act)
    for position in range(8):
        executor.submit(Job(f"q{position}", {}))
        executor.submit(Job(f"t{position}", {}, Lane.EXCLUSIVE))
    list(executor.completions())
    assert executor.now() == makespan


def test_shared_jobs_wait_for_the_one_that_had_the_machine_to_itself():
    executor = SimulatedExecutor(4, one_second)
    executor.start(build_state, act)
    executor.submit(Job("t", {}, Lane.EXCLUSIVE))
    list(executor.completions())
    for position in range(4):
        executor.submit(Job(f"q{position}", {}))
    list(executor.completions())
    assert executor.history[1:] == [(f"q{i}", 1.0, 2.0) for i in range(4)]


def test_setup_is_paid_once_a_worker_and_again_after_a_death():
    executor = SimulatedExecutor(
        1, one_second, setup_s=10.0, dies=lambda key, attempt: key == "x" and attempt < 1
    )
    executor.start(build_state, act)
    for key in ("a", "x", "b"):
        executor.submit(Job(key, {"add": 1}))
    assert [c.value for c in executor.completions()] == [1, 1, 1]
    assert executor.now() == 10 + 1 + 1 + 10 + 1 + 1


def test_job_that_always_dies_fails_after_three_attempts():
    executor = SimulatedExecutor(1, one_second, dies=lambda key, attempt: key == "x")
    executor.start(build_state, act)
    executor.submit(Job("x", {}))
    executor.submit(Job("y", {"add": 2}))
    done = list(executor.completions())
    assert done[0].failure == "its worker died 3 times"
    assert done[1].value == 2
    assert executor.now() == 4.0
