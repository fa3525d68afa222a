import dataclasses

import numpy as np

from automl.evaluators.cache import ContentCache
from automl.stages.repaired import repaired_plan


def deployed_error(evaluator, candidate, plan):
    samples = evaluator.bench.data.evaluation
    exact = evaluator.reference[0]
    file = evaluator.write(candidate, plan)
    outputs = evaluator.predict(file, plan.float_type, samples)
    file.unlink()
    return float(np.mean((outputs[0] - exact) ** 2))


def test_repair_lowers_the_error_of_a_low_bit_plan_on_samples_it_never_saw(evaluator):
    candidate = evaluator.bench.space.uniform("precision", "w3a8")
    plain, fixed = evaluator.plan(candidate), repaired_plan(evaluator, candidate)
    assert deployed_error(evaluator, candidate, fixed) < deployed_error(evaluator, candidate, plain)


def test_a_second_run_takes_the_stored_repair(evaluator, monkeypatch):
    candidate = evaluator.bench.space.uniform("precision", "w8a8")
    first = repaired_plan(evaluator, candidate)

    def refuse(*arguments):
        raise AssertionError("repaired although the repair was stored")

    monkeypatch.setattr(evaluator.bench.quantizer, "repair", refuse)
    again = repaired_plan(evaluator, candidate)
    assert again.edges == first.edges
    for site, weight in first.weights.items():
        for field in dataclasses.fields(weight):
            assert np.array_equal(getattr(again.weights[site], field.name), getattr(weight, field.name))


def test_a_damaged_stored_repair_is_made_anew(evaluator, monkeypatch, tmp_path):
    monkeypatch.setattr(
        evaluator, "bench", dataclasses.replace(evaluator.bench, cache=ContentCache(tmp_path))
    )
    candidate = evaluator.bench.space.uniform("precision", "w6a8")
    first = repaired_plan(evaluator, candidate)
    (file,) = (tmp_path / "repairs").glob("*.npz")
    file.write_bytes(b"torn")
    again = repaired_plan(evaluator, candidate)
    assert all(np.array_equal(again.weights[s].codes, w.codes) for s, w in first.weights.items())
    assert file.read_bytes() != b"torn"


def test_the_untouched_model_has_nothing_to_repair(evaluator):
    assert repaired_plan(evaluator, evaluator.bench.space.default).weights == {}
