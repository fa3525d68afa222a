from __future__ import annotations

import pytest

from automl.core.errors import ExecutionError
from automl.core.trial import Fidelity
from automl.execution.base import Job
from automl.execution.base import Lane
from automl.execution.local_executor import ProcessExecutor
from automl.stages.execute import STAGES_ALONE
from automl.stages.execute import STAGES_SHARED
from automl.stages.execute import build_worker
from automl.stages.execute import start_executor
from automl.stages.execute import work_of


def test_timing_never_shares_the_machine():
    assert all(s.lane is Lane.EXCLUSIVE for s in STAGES_ALONE)
    assert {s.name: s.lane for s in STAGES_SHARED} == {"quality": Lane.SHARED, "latency": Lane.EXCLUSIVE}


def test_one_local_worker_is_this_process(bench, evaluator, shared_cache):
    executor, stages = start_executor(bench.config, evaluator, bench.folder, shared_cache)
    payload = {"candidate": bench.space.default.as_dict, "fidelity": "subset", "seed": 0, "stage": "quality"}
    executor.submit(Job("a", payload))
    done = next(iter(executor.completions()))
    executor.close()
    assert stages == STAGES_ALONE
    assert done.failure is None
    assert done.value["metrics"]["drop"]["value"] == 0.0


def test_a_passing_failure_is_tried_once_more_and_timing_as_often_as_asked(bench, evaluator, monkeypatch):
    payload = {"candidate": bench.space.default.as_dict, "fidelity": "subset", "seed": 0, "stage": "quality"}
    measured, failures = (
        evaluator.evaluate,
        [OSError("connection lost"), OSError("again"), OSError("and again")],
    )
    calls = []

    def flaky(*arguments):
        calls.append(arguments)
        if failures:
            raise failures.pop()
        return measured(*arguments)

    monkeypatch.setattr(evaluator, "evaluate", flaky)
    with pytest.raises(OSError, match="again"):
        work_of(bench.config)(evaluator, payload)
    assert len(calls) == 2
    config = bench.config.model_copy(update={"repeat": 3})
    averaged = work_of(config)(evaluator, payload)
    assert len(calls) == 2 + 1 + 3
    assert averaged["facts"]["repeats"] == 3


def test_a_worker_process_builds_the_same_evaluation(bench, evaluator, shared_cache):
    config = bench.config.model_copy(update={"workers": 2})
    executor, stages = start_executor(config, evaluator, bench.folder, shared_cache)
    candidate = bench.space.uniform("precision", "w8a8")
    payload = {"candidate": candidate.as_dict, "fidelity": "subset", "seed": 0, "stage": "quality"}
    try:
        executor.submit(Job("a", payload))
        done = next(iter(executor.completions()))
    finally:
        executor.close()
    here = evaluator.quality(candidate, evaluator.write(candidate), Fidelity.SUBSET)
    assert stages == STAGES_SHARED
    assert done.failure is None
    assert abs(done.value["metrics"]["kl"]["value"] - here["kl"].value) < 1e-5


def test_a_worker_that_builds_another_model_is_refused(bench, shared_cache):
    with pytest.raises(ExecutionError, match="another model or other data"):
        build_worker(bench.config, bench.folder, shared_cache, 1.0, ("something", "else"))


def test_limits_of_one_evaluation_take_it_out_of_this_process(bench, evaluator, shared_cache):
    config = bench.config.model_copy(update={"workers_resources": "memory=64GB", "trial_time": "5m"})
    executor, stages = start_executor(config, evaluator, bench.folder, shared_cache)
    executor.close()
    assert isinstance(executor, ProcessExecutor)
    assert stages == STAGES_ALONE
