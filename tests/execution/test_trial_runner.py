from __future__ import annotations

from functools import partial

import pytest

from automl.core.errors import ExecutionError
from automl.core.measurement import Measurement
from automl.core.objective import Objective
from automl.core.trial import Fidelity
from automl.core.trial import TrialState
from automl.execution.base import Job
from automl.execution.local_executor import InlineExecutor
from automl.execution.trial_runner import OutOfTimeError
from automl.execution.trial_runner import Stage
from automl.execution.trial_runner import TrialRunner
from automl.testing.simulated_target import OBJECTIVES
from automl.testing.simulated_target import SimulatedTarget
from automl.testing.simulated_target import build_target
from automl.testing.simulated_target import simulate

TARGET = SimulatedTarget(layers=4)
MODELS = [TARGET.space.uniform("precision", option) for option in ("fp", "w8a8", "w4a8")]


class Memory:
    def __init__(self):
        self.kept = []

    def record(self, trial):
        self.kept.append(trial)

    def trials(self):
        return list(self.kept)


def runner_for(work=simulate, ledger=None, executor=None, **settings):
    executor = executor or InlineExecutor()
    executor.start(partial(build_target, 4), work)
    return TrialRunner(executor, ledger or Memory(), settings.pop("objectives", OBJECTIVES), **settings)


def echo(state, payload):
    return {"metrics": {"kl": {"value": payload["seed"] % 1000}}, "facts": dict(payload)}


def nothing(state, payload):
    return None


def test_payload_is_plain_and_its_seed_belongs_to_candidate_and_fidelity():
    runner = runner_for(echo, objectives=(Objective("kl"),), seed=4)
    full = runner.evaluate(MODELS[:2], "test")
    subset = runner.evaluate(MODELS[:1], "test", Fidelity.SUBSET)
    facts = [t.measurement.facts for t in full + subset]
    assert facts[0]["candidate"] == MODELS[0].as_dict
    assert [f["fidelity"] for f in facts] == ["full", "full", "subset"]
    assert facts[0]["stage"] == "all"
    assert len({f["seed"] for f in facts}) == 3
    again = runner_for(echo, objectives=(Objective("kl"),), seed=4).evaluate(MODELS[:1], "test")
    assert again[0].measurement.facts == facts[0]


def test_fidelities_of_one_candidate_are_different_trials():
    runner = runner_for()
    runner.evaluate(MODELS[:1], "test")
    assert not runner.is_new(MODELS[0], Fidelity.FULL)
    assert runner.is_new(MODELS[0], Fidelity.CONFIRMED)
    assert runner.evaluate(MODELS[:1], "confirm", Fidelity.CONFIRMED)[0].number == 1


def test_second_session_takes_trials_from_the_ledger():
    ledger, told = Memory(), []
    runner_for(ledger=ledger).evaluate(MODELS[:2], "first")
    runner = runner_for(
        nothing, ledger=ledger, on_trial=lambda trial, replayed: told.append((trial.number, replayed))
    )
    trials = runner.evaluate([MODELS[1], MODELS[2], MODELS[0], MODELS[2]], "second")
    assert [t.number for t in trials] == [1, 2, 0, 2]
    assert told == [(1, True), (0, True), (2, False)]
    assert trials[1].state is TrialState.FAILED
    assert runner.evaluated == 1


def test_work_that_returns_no_measurement_is_a_failed_trial():
    trial = runner_for(nothing).evaluate(MODELS[:1], "test")[0]
    assert "returned no measurement" in trial.failure


def test_failing_stage_fails_the_trial_and_its_time_counts():
    def partly(state, payload):
        if payload["stage"] == "latency":
            raise ValueError("no clock")
        return simulate(state, payload)

    trial = runner_for(partly, stages=(Stage("quality"), Stage("latency"))).evaluate(MODELS[:1], "test")[0]
    assert trial.failure == "ValueError: no clock"
    assert trial.seconds > 0


def test_deadline_keeps_what_was_finished():
    times = iter([0.0, 1.0, 5.0, 5.0])
    ledger = Memory()
    runner = runner_for(ledger=ledger, clock=lambda: next(times))
    with pytest.raises(OutOfTimeError):
        runner.evaluate(MODELS, "test", deadline=3.0)
    assert len(ledger.kept) == 2


def test_abandoned_jobs_do_not_reach_the_next_evaluation():
    executor, ledger = InlineExecutor(), Memory()
    ledger.record = refuse
    runner = runner_for(executor=executor, ledger=ledger)
    with pytest.raises(ExecutionError):
        runner.evaluate(MODELS, "test")
    executor.submit(Job("next", {"candidate": MODELS[0].as_dict}))
    done = list(executor.completions())
    assert [c.key for c in done] == ["next"]
    assert Measurement.from_json(done[0].value)["kl"].value == 0.0


def refuse(trial):
    raise ExecutionError("not now")
