from __future__ import annotations

from dataclasses import replace

import pytest

from automl.core.budget import parse_budget
from automl.core.measurement import Measurement
from automl.core.measurement import Metric
from automl.core.trial import Fidelity
from automl.evaluators.cache import ContentCache
from automl.evaluators.memory import SEARCH_PROCESSES
from automl.stages.evaluate import SUBSET
from automl.stages.evaluate import CandidateEvaluator
from automl.stages.evaluate import work


def test_the_untouched_model_loses_nothing(evaluator):
    measured = evaluator.evaluate(evaluator.bench.space.default, Fidelity.FULL, ("quality",))
    assert measured["drop"].value == 0.0
    assert measured["agreement"].value == 1.0
    assert measured["accuracy"].n == 200


def test_subset_fidelity_uses_fewer_samples(evaluator):
    measured = evaluator.evaluate(evaluator.bench.space.default, Fidelity.SUBSET, ("quality",))
    assert measured["accuracy"].n == SUBSET


def test_subset_fidelity_times_fewer_runs(evaluator, monkeypatch):
    asked = []
    monkeypatch.setattr(
        evaluator.meter, "measure", lambda *_, repeats: asked.append(repeats) or Measurement({})
    )
    for fidelity in (Fidelity.FULL, Fidelity.SUBSET):
        evaluator.evaluate(evaluator.bench.space.default, fidelity, ("latency",))
    assert asked == [evaluator.bench.config.spend.repeats, evaluator.bench.config.spend.repeats // 4]


def test_int8_is_smaller_and_close_and_two_bits_are_not_close(evaluator):
    space = evaluator.bench.space
    int8 = evaluator.evaluate(space.uniform("precision", "w8a8"), Fidelity.FULL, ("quality",))
    two = evaluator.evaluate(space.uniform("precision", "w2a8"), Fidelity.FULL, ("quality",))
    whole = evaluator.counts(space.default)
    assert int8["size_bytes"].value < 0.5 * whole["size_bytes"].value
    assert two["size_bytes"].value < int8["size_bytes"].value
    assert int8["agreement"].value > 0.97
    assert two["kl"].value > 10 * int8["kl"].value


def test_quality_is_measured_once_and_then_taken_from_the_cache(evaluator, monkeypatch):
    candidate = evaluator.bench.space.uniform("precision", "w6a8")
    first = evaluator.evaluate(candidate, Fidelity.FULL, ("quality",))

    def refuse(*arguments):
        raise AssertionError("predicted although the quality was stored")

    monkeypatch.setattr(evaluator, "predict", refuse)
    assert evaluator.evaluate(candidate, Fidelity.FULL, ("quality",)) == first
    with pytest.raises(AssertionError, match="predicted"):
        evaluator.evaluate(candidate, Fidelity.SUBSET, ("quality",))


def test_work_returns_json_of_the_stage_asked_for(evaluator):
    candidate = evaluator.bench.space.default
    payload = {"candidate": candidate.as_dict, "fidelity": "subset", "seed": 0, "stage": "latency"}
    measured = Measurement.from_json(work(evaluator, payload))
    assert "latency_ms" in measured
    assert "accuracy" not in measured


def test_written_graphs_do_not_pile_up(evaluator):
    space = evaluator.bench.space
    evaluator.evaluate(space.uniform("precision", "w8a8"), Fidelity.SUBSET, ("quality",))
    left = [p.name for p in (evaluator.bench.folder / "work").glob("*.onnx")]
    assert left == [f"{space.default.digest}.onnx"]


def test_predicted_latency_is_left_out_without_a_model(evaluator):
    assert "predicted_latency_ms" not in evaluator.counts(evaluator.bench.space.default)


def test_unknown_stage_measures_only_counts(evaluator):
    with pytest.raises(KeyError):
        work(evaluator, {"candidate": evaluator.bench.space.default.as_dict, "fidelity": "full"})


@pytest.fixture
def limited(evaluator, tmp_path):
    """An evaluator under a memory budget, with a cache of its own."""
    config = evaluator.bench.config.model_copy(update={"budget": ("memory=0.6x",)})
    bench = replace(evaluator.bench, config=config, cache=ContentCache(tmp_path))
    return CandidateEvaluator(bench, nominal_ms=1.0)


def test_memory_is_measured_only_when_it_is_limited(evaluator, limited):
    candidate = evaluator.bench.space.default
    parts = ("memory",)
    assert "memory_bytes" not in evaluator.evaluate(candidate, Fidelity.FULL, parts)
    measured = limited.evaluate(candidate, Fidelity.FULL, parts)
    assert measured["memory_bytes"].n == SEARCH_PROCESSES
    assert measured["memory_bytes"].value < measured["memory_peak_bytes"].value
    relative = parse_budget("memory=0.6x").resolve(measured)
    assert relative.limit == pytest.approx(0.6 * measured["memory_bytes"].value)
    assert not relative.holds(measured)


def test_memory_is_measured_once_and_then_taken_from_the_cache(limited, monkeypatch):
    calls = []

    def told(*given, **settings):
        calls.append(given)
        return Measurement({"memory_bytes": Metric(7.0, "B")})

    monkeypatch.setattr("automl.stages.evaluate.measure_memory", told)
    space = limited.bench.space
    for candidate in (space.default, space.default, space.uniform("precision", "w8a8")):
        assert limited.evaluate(candidate, Fidelity.FULL, ("memory",))["memory_bytes"].value == 7.0
    assert len(calls) == 2


def test_memory_goes_with_the_jobs_that_may_run_side_by_side(limited, monkeypatch):
    seen = []
    monkeypatch.setattr(
        limited, "evaluate", lambda candidate, fidelity, parts: seen.append(parts) or Measurement({})
    )
    for stage in ("quality", "latency", "all"):
        work(limited, {"candidate": {}, "fidelity": "full", "stage": stage})
    assert ["memory" in parts for parts in seen] == [True, False, True]
