from __future__ import annotations

from dataclasses import replace

import pytest

from automl.core.errors import EvaluationError
from automl.evaluators.cache import ContentCache
from automl.stages import price as module
from automl.stages.events import silent
from automl.stages.price import damage_table
from automl.stages.price import fit_latency
from automl.stages.price import float_damage


def test_fewer_bits_do_more_damage_in_total(bench):
    table = damage_table(bench, silent)
    total = {o: sum(v for (_, name), v in table.items() if name == o) for o in ("fp", "w8a8", "w4a8", "w2a8")}
    assert total["fp"] == 0.0
    assert total["w8a8"] < total["w4a8"] < total["w2a8"]


def test_a_second_table_comes_from_the_cache(bench, monkeypatch):
    first = damage_table(bench, silent)
    monkeypatch.setattr(module, "kl_table", pytest.fail)
    assert damage_table(bench, silent) == first


def test_float_types_cost_little_and_f32_nothing(evaluator):
    table = float_damage(evaluator)
    assert table["f32"] == 0.0
    assert all(0 <= value < 0.1 for value in table.values())


def test_a_float_type_in_which_the_model_does_not_compute_is_priced_out(evaluator, monkeypatch, tmp_path):
    predict = evaluator.predict

    def broken(file, float_type, samples):
        if float_type != "f32":
            raise EvaluationError("the candidate gives NaN or infinite outputs")
        return predict(file, float_type, samples)

    bench = evaluator.bench
    legality = replace(bench.legality, float_types=("bf16", "f32"))
    monkeypatch.setattr(evaluator, "predict", broken)
    monkeypatch.setattr(evaluator, "bench", replace(bench, legality=legality, cache=ContentCache(tmp_path)))
    assert float_damage(evaluator) == {"f32": 0.0, "bf16": module.UNUSABLE_DAMAGE}


def test_a_model_too_small_for_the_profile_is_searched_without_a_latency_model(evaluator, monkeypatch):
    def refuse(*_, **__):
        raise EvaluationError("a profile names no node of the graph")

    monkeypatch.setattr(module.LatencyModel, "fit", refuse)
    model, observations, failed = fit_latency(evaluator, silent)
    assert model is None
    assert len(observations) >= module.FEWEST_DESIGNS
    assert failed == ("no latency model: a profile names no node of the graph",)


def test_the_latency_model_is_fitted_on_measured_designs_and_kept(evaluator, monkeypatch):
    model, observations, failed = fit_latency(evaluator, silent)
    assert not failed
    assert model is not None
    assert len(observations) >= module.FEWEST_DESIGNS
    assert all(o.timing_ms > 0 and o.profile for o in observations)
    monkeypatch.setattr(type(evaluator.meter), "observe", pytest.fail)
    again, _, _ = fit_latency(evaluator, silent)
    assert again is not None
    assert again.held_out.mape == pytest.approx(model.held_out.mape, rel=1e-6)
