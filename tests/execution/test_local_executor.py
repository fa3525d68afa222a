from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from automl.core.errors import ConfigError
from automl.core.errors import ExecutionError
from automl.execution.base import Job
from automl.execution.base import Lane
from automl.execution.local_executor import InlineExecutor
from automl.execution.local_executor import LocalExecutor
from automl.execution.local_executor import ProcessExecutor
from automl.testing.executor_suite import ExecutorSuite
from automl.testing.executor_suite import IsolatedExecutorSuite
from automl.testing.executor_suite import act
from automl.testing.executor_suite import build_state


class TestInline(ExecutorSuite):
    def build(self):
        return LocalExecutor(1)


class TestProcesses(IsolatedExecutorSuite):
    def build(self):
        return LocalExecutor(2, oversubscribe=True)

    def build_with_timeout(self, timeout_s):
        return LocalExecutor(1, timeout_s=timeout_s)


def read_threads(state, payload):
    return [os.environ["OMP_NUM_THREADS"], os.environ["MKL_NUM_THREADS"]]


def print_loudly(state, payload):
    print("noise")  # noqa: T201
    return payload


def test_one_worker_is_the_calling_process_unless_isolation_is_needed():
    assert isinstance(LocalExecutor(1), InlineExecutor)
    assert isinstance(LocalExecutor(1, isolate=True), ProcessExecutor)
    assert isinstance(LocalExecutor(1, timeout_s=1.0), ProcessExecutor)


@pytest.mark.parametrize("workers", [0, -1, 100_000])
def test_more_workers_than_processors_are_refused(workers):
    with pytest.raises(ConfigError, match=f"workers={workers} does not fit"):
        ProcessExecutor(workers)


def test_time_out_must_be_positive():
    with pytest.raises(ConfigError, match="greater than zero"):
        LocalExecutor(1, timeout_s=0.0)


def test_each_worker_gets_one_numerical_thread():
    executor = LocalExecutor(1, isolate=True)
    executor.start(build_state, read_threads)
    executor.submit(Job("0", None))
    assert next(executor.completions()).value == ["1", "1"]
    executor.close()


def test_exclusive_jobs_always_run_on_the_same_worker():
    executor = LocalExecutor(2, oversubscribe=True)
    executor.start(build_state, act)
    for position in range(8):
        lane = Lane.EXCLUSIVE if position % 2 else Lane.SHARED
        executor.submit(Job(str(position), {"pid": True, "sleep": 0.01}, lane))
    done = list(executor.completions())
    executor.close()
    assert len({c.value[0] for c in done[1::2]}) == 1


def test_work_defined_in_the_main_script_is_refused_with_a_way_out():
    def local_work(state, payload):
        return payload

    local_work.__module__ = "__main__"
    executor = LocalExecutor(1, isolate=True)
    with pytest.raises(ExecutionError, match="move it into a module"):
        executor.start(build_state, local_work)


def test_work_that_cannot_travel_is_an_error_of_the_run():
    executor = LocalExecutor(1, isolate=True)
    executor.start(build_state, lambda state, payload: payload)
    with pytest.raises(ExecutionError, match="cannot be sent"):
        executor.submit(Job("0", None))
    executor.close()


def test_result_that_cannot_travel_fails_its_job_only():
    executor = LocalExecutor(1, isolate=True)
    executor.start(build_state, return_lambda)
    executor.submit(Job("0", True))
    executor.submit(Job("1", False))
    done = list(executor.completions())
    executor.close()
    assert "cannot be sent" in done[0].failure
    assert done[1].value is False


def return_lambda(state, payload):
    return (lambda: 0) if payload else payload


def test_close_leaves_no_process_behind():
    executor = LocalExecutor(2, oversubscribe=True)
    before = {p.pid for p in psutil.Process().children()}
    executor.start(partial(build_state, 0), act)
    for position in range(4):
        executor.submit(Job(str(position), {"pid": True, "sleep": 0.05}))
    pids = {c.value[0] for c in executor.completions()}
    assert pids & {p.pid for p in psutil.Process().children()} == pids
    executor.close()
    assert {p.pid for p in psutil.Process().children()} <= before


_DRIVER = """
from automl.execution.base import Job
from automl.execution.local_executor import LocalExecutor
from automl.testing.executor_suite import act, build_state
from tests.execution.test_local_executor import print_loudly
import sys
executor = LocalExecutor(1, isolate=True)
executor.start(build_state, print_loudly if sys.argv[1] == "print" else act)
executor.submit(Job("0", {"pid": True}))
print(next(executor.completions()).value)
if sys.argv[1] == "hang":
    sys.stdout.flush()
    executor.submit(Job("1", {"sleep": 600}))
    list(executor.completions())
executor.close()
"""


def _drive(mode):
    # No main guard on purpose: workers must not run the script again.
    return subprocess.Popen(
        [sys.executable, "-c", _DRIVER, mode],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def test_what_workers_print_stays_off_stdout():
    out, err = _drive("print").communicate(timeout=60)
    assert out == "{'pid': True}\n"
    assert "noise" in err


def test_workers_end_when_the_driver_is_killed():
    driver = _drive("hang")
    pid = int(driver.stdout.readline().strip("[] \n").split(",")[0])
    assert psutil.pid_exists(pid)
    driver.kill()
    driver.communicate()
    for _ in range(100):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.1)
    pytest.fail("the worker outlived its driver")


def test_a_job_over_its_memory_fails_and_the_rest_goes_on():
    executor = ProcessExecutor(1, memory_bytes=400_000_000)
    executor.start(build_state, act)
    for key, payload in (("fat", {"take": 600_000_000}), ("thin", {"add": 3})):
        executor.submit(Job(key, payload))
    fat, thin = executor.completions()
    executor.close()
    assert "where 400 MB are allowed" in fat.failure
    assert thin.value == 3
