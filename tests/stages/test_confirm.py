from __future__ import annotations

from dataclasses import replace

import pytest

from automl.artifact.save import save_artifact
from automl.core.budget import parse_budget
from automl.core.errors import ArtifactError
from automl.core.errors import EvaluationError
from automl.core.measurement import Measurement
from automl.core.measurement import Metric
from automl.core.objective import Objective
from automl.core.trial import Fidelity
from automl.core.trial import Trial
from automl.core.trial import TrialState
from automl.evaluators.memory import CONFIRM_PROCESSES
from automl.stages.confirm import confirm
from automl.stages.confirm import conservative
from automl.stages.evaluate import PARTS
from automl.stages.evaluate import CandidateEvaluator
from automl.stages.events import silent
from automl.stages.problem import objectives_of
from automl.stages.problem import uniform_candidates


def test_budgets_are_judged_at_the_upper_end_of_the_latency_interval():
    measured = Measurement({"latency_ms": Metric(4.9, "ms", 4.8, 5.1, 30), "accuracy": Metric(0.9)})
    assert parse_budget("latency=5ms").holds(measured)
    assert not parse_budget("latency=5ms").holds(conservative(measured))
    assert conservative(measured)["accuracy"].value == pytest.approx(0.9)


def test_budgets_are_judged_at_the_upper_end_of_the_memory_interval():
    measured = Measurement({"memory_bytes": Metric(49e6, "B", 48e6, 51e6, 6), "kl": Metric(0.1)})
    assert parse_budget("memory=50MB").holds(measured)
    assert not parse_budget("memory=50MB").holds(conservative(measured))


def test_confirmed_members_carry_parity_and_artifact_bytes(digits_run):
    for found in digits_run.front:
        facts = found.metrics.facts
        assert facts["parity_relative_error"] < 0.05
        assert found.metrics["artifact_bytes"].value == found.artifact.size_bytes


def test_a_search_that_measured_the_untouched_model_alone_still_has_an_answer(evaluator):
    bench = evaluator.bench
    objectives = objectives_of(bench)
    baseline = evaluator.evaluate(bench.space.default, Fidelity.FULL, PARTS["all"])
    alone = Trial(0, bench.space.default, TrialState.COMPLETE, measurement=baseline)
    found = confirm(evaluator, [alone], objectives, [], silent, stamp="2026-01-01")
    assert found.members == ()
    assert found.trial0.candidate == bench.space.default
    assert (bench.folder / found.trial0.artifact / "manifest.json").is_file()


def test_what_cannot_be_written_ends_the_run_instead_of_the_finalist(evaluator, monkeypatch):
    bench = evaluator.bench
    rows = [bench.space.default, uniform_candidates(bench.space)[1][1]]
    trials = [
        Trial(
            i,
            c,
            TrialState.COMPLETE,
            measurement=evaluator.evaluate(c, Fidelity.FULL, ("quality", "latency")),
        )
        for i, c in enumerate(rows)
    ]
    written = []

    def full(folder, *_, **__):
        written.append(folder)
        if len(written) > 1:
            raise ArtifactError("cannot write: no space left")
        return save_artifact(folder, *_, **__)

    monkeypatch.setattr("automl.stages.confirm.save_artifact", full)
    with pytest.raises(ArtifactError, match="no space left"):
        confirm(evaluator, trials, objectives_of(bench), [], silent, stamp="2026-01-01")


def test_memory_is_confirmed_when_it_is_limited_and_a_finalist_without_it_is_named(evaluator, monkeypatch):
    bench = evaluator.bench
    config = bench.config.model_copy(update={"budget": ("memory=0.6x",)})
    limited = CandidateEvaluator(replace(bench, config=config), nominal_ms=evaluator.meter.nominal_ms)
    memory = Measurement({"memory_bytes": Metric(1e6, "B")})
    chosen = [c for _, c in uniform_candidates(bench.space)[1:4]]
    trials = [
        Trial(
            i,
            c,
            TrialState.COMPLETE,
            measurement=evaluator.evaluate(c, Fidelity.FULL, PARTS["all"]).merged(memory),
        )
        for i, c in enumerate((bench.space.default, *chosen))
    ]
    lost = chosen[0].digest[:8]

    def told(target, file, float_type, inputs, *, processes):
        if lost in file.name:
            raise EvaluationError("the worker died")
        return Measurement({"memory_bytes": Metric(1e6, "B", 0.9e6, 1.1e6, processes)})

    monkeypatch.setattr("automl.stages.confirm.measure_memory", told)
    axes = (Objective("accuracy"), Objective("latency_ms"))
    found = confirm(limited, trials, axes, [parse_budget("memory=1.05MB")], silent, stamp="2026-01-01")
    assert f"{lost}: the worker died" in found.failed
    assert lost not in {m.id for m in found.members}
    confirmed = (found.trial0, *found.defaults, *found.members)
    assert {m.measurement["memory_bytes"].n for m in confirmed} == {CONFIRM_PROCESSES}
    assert not any(m.budgets["memory=1.05MB"] for m in confirmed)
