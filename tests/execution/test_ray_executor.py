from __future__ import annotations

import os
import sys
from functools import partial

import numpy as np
import pytest
import ray

from automl.core.errors import ConfigError
from automl.core.errors import ExecutionError
from automl.execution.base import Job
from automl.execution.ray_executor import RayExecutor
from automl.testing.executor_suite import IsolatedExecutorSuite
from automl.testing.executor_suite import act
from automl.testing.executor_suite import build_state

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module", autouse=True)
def runtime():
    # One runtime for the module: executors use what is connected and leave it running.
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


class TestRay(IsolatedExecutorSuite):
    def build(self):
        return RayExecutor(2, oversubscribe=True)

    def build_with_timeout(self, timeout_s):
        return RayExecutor(1, timeout_s=timeout_s)


def keep(array):
    return array


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


def test_more_workers_than_processors_are_refused():
    with pytest.raises(ConfigError, match="does not fit this machine"):
        RayExecutor(100_000)


def test_unreachable_cluster_is_one_sentence():
    ray.shutdown()
    executor = RayExecutor(1, "127.0.0.1:1")
    with pytest.raises(ExecutionError, match=r"cluster at '127\.0\.0\.1:1'.*check the address"):
        executor.start(build_state, act)
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
