from __future__ import annotations

import os
import sys
import time
from functools import partial

import numpy as np
import psutil
import pytest
import ray

from automl.core.errors import ConfigError
from automl.core.errors import ExecutionError
from automl.execution.base import Job
from automl.execution.base import Lane
from automl.execution.ray_executor import RayExecutor
from automl.execution.resources import parse_resources
from automl.testing.executor_suite import IsolatedExecutorSuite
from automl.testing.executor_suite import act
from automl.testing.executor_suite import build_state

pytestmark = pytest.mark.ray


def start_runtime():
    ray.init(
        "local",
        num_cpus=2,
        resources={"fast": 1.0, "timing": 1.0},
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
    )


@pytest.fixture(scope="module", autouse=True)
def runtime():
    # One runtime for the module: executors use what is connected and leave it running.
    start_runtime()
    yield
    ray.shutdown()


class TestRay(IsolatedExecutorSuite):
    def build(self):
        return RayExecutor(2, oversubscribe=True)

    def build_with_timeout(self, timeout_s):
        return RayExecutor(1, timeout_s=timeout_s)


def keep(array):
    return array


def keep_nothing():
    return None


def held(state, payload):
    time.sleep((payload or {}).get("sleep", 0.0))
    assigned = ray.get_runtime_context().get_assigned_resources()
    return {name: amount for name, amount in assigned.items() if amount}


def total(state, payload):
    return [
        float(state.sum()),
        bool(state.flags.writeable),
        os.environ.get("OMP_NUM_THREADS"),
        "torch" in sys.modules,
    ]


def test_arrays_of_the_setup_are_shared_through_the_object_store():
    executor = RayExecutor(1)
    executor.start(partial(keep, np.ones(500_000)), total)
    executor.submit(Job("0", None))
    value = next(executor.completions()).value
    executor.close()
    # An array mapped from the store is read-only; a pickled copy would be writable.
    assert value == [500_000.0, False, "1", False]


def test_connected_runtime_is_left_running():
    executor = RayExecutor(1)
    executor.start(build_state, act)
    executor.close()
    assert ray.is_initialized()


def test_a_runtime_of_its_own_is_started_though_another_one_runs_on_the_machine(monkeypatch):
    asked = {}
    monkeypatch.setattr(ray, "init", lambda **settings: asked.update(settings))
    RayExecutor(1)._connect()
    assert asked["address"] == "local"


def test_a_worker_has_the_resources_it_asks_for():
    executor = RayExecutor(1, resources=parse_resources("CPU=2,fast=1"))
    executor.start(keep_nothing, held)
    executor.submit(Job("0", None))
    assert next(executor.completions()).value == {"CPU": 2.0, "fast": 1.0}
    executor.close()


def test_workers_that_find_no_room_hold_up_nothing():
    executor = RayExecutor(4, oversubscribe=True, resources=parse_resources("CPU=1,fast=1"))
    executor.start(build_state, act)
    for position in range(5):
        executor.submit(Job(str(position), {"add": position}))
    executor.submit(Job("time", {"add": 9}, Lane.EXCLUSIVE))
    assert [c.value for c in executor.completions()] == [0, 1, 2, 3, 4, 9]
    executor.close()


def test_timing_runs_where_the_resource_is_while_others_work():
    executor = RayExecutor(1, timing="timing")
    executor.start(keep_nothing, held)
    executor.submit(Job("work", {"sleep": 1.0}))
    executor.submit(Job("time", None, Lane.EXCLUSIVE))
    work, time = executor.completions()
    executor.close()
    assert (work.value, time.value) == ({"CPU": 1.0}, {"timing": 1.0})


def test_a_cluster_without_room_is_one_sentence(monkeypatch):
    monkeypatch.setattr("automl.execution.ray_executor._ROOM_S", 0.5)
    executor = RayExecutor(1, resources=parse_resources("nowhere=1"))
    executor.start(build_state, act)
    executor.submit(Job("0", {"add": 1}))
    with pytest.raises(ExecutionError, match=r"no room for a worker within 0\.5 s.*'nowhere': 1\.0"):
        list(executor.completions())


def test_a_job_over_its_memory_fails_and_the_rest_goes_on():
    executor = RayExecutor(1, resources=parse_resources("memory=400MB"))
    executor.start(build_state, act)
    for key, payload in (("fat", {"take": 600_000_000}), ("thin", {"add": 3})):
        executor.submit(Job(key, payload))
    fat, thin = executor.completions()
    executor.close()
    assert "where 400 MB are allowed" in fat.failure
    assert thin.value == 3


def test_more_workers_than_processors_are_refused():
    with pytest.raises(ConfigError, match="does not fit this machine"):
        RayExecutor(100_000)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere loopback is the default of Ray itself")
def test_what_is_started_here_joins_no_other_cluster_and_listens_on_the_loopback_network_alone(monkeypatch):
    ray.shutdown()
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    executor = RayExecutor(1)
    executor.start(build_state, act)
    executor.submit(Job("0", {"add": 1}))
    assert next(executor.completions()).value == 1
    listening = {
        (process.name(), connection.laddr.ip)
        for process in psutil.Process().children(recursive=True)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    executor.close()
    monkeypatch.delenv("RAY_ADDRESS")
    start_runtime()
    assert {name for name, _ in listening} >= {"gcs_server", "raylet"}
    assert [e for e in listening if not e[1].removeprefix("::ffff:").startswith("127.")] == []


def test_unreachable_cluster_is_one_sentence():
    ray.shutdown()
    executor = RayExecutor(1, "127.0.0.1:1")
    with pytest.raises(ExecutionError, match=r"cluster at '127\.0\.0\.1:1'.*check the address"):
        executor.start(build_state, act)
    start_runtime()
