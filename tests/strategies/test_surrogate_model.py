from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from automl.core.budget import Budget
from automl.core.errors import StrategyError
from automl.core.objective import Objective
from automl.strategies.calibration import rank_correlation
from automl.strategies.surrogate_model import ModelSettings
from automl.strategies.surrogate_model import SurrogateModel
from automl.strategies.surrogate_model import compared_metrics
from automl.strategies.surrogate_model import plain_predictions
from automl.strategies.surrogate_model import priced_relevance
from automl.testing.problems import additive_problem


def interacting(n_dimensions=10, seed=0):
    """Return a problem whose prediction knows the single decisions, and whose truth has pairs too."""
    synthetic = additive_problem(n_dimensions, 3, seed=seed)
    rng = np.random.default_rng(seed)
    tables = synthetic.problem.tables
    joint = rng.uniform(0, 1, size=(n_dimensions - 1, 3, 3)) * np.median(
        [u.max() for u in tables.unary["kl"]]
    )

    def truth(codes):
        values = synthetic.truth(codes)
        values[:, 0] += joint[np.arange(n_dimensions - 1), codes[:, :-1], codes[:, 1:]].sum(axis=1)
        return values

    problem = replace(synthetic.problem, predict=synthetic.truth)
    return replace(synthetic, problem=problem, truth=truth)


def trained(synthetic, n, *, batch=16, seed=0):
    """Return a model that predicted and then learned ``n`` random codes in batches, and what it learned."""
    model = SurrogateModel(synthetic.problem)
    codes = synthetic.problem.space.sample(np.random.default_rng(seed), n)
    values = synthetic.truth(codes)
    for start in range(0, n, batch):
        model.judge(codes[start : start + batch], values[start : start + batch])
        model.learn(codes[: start + batch], values[: start + batch], min(start + batch, n))
    return model, codes, values


def test_compared_are_the_objectives_and_the_other_hard_budgets():
    problem = additive_problem(4).problem
    budgets = (*problem.budgets, Budget("a", "latency_ms", 1.0), Budget("b", "macs", 1.0, hard=False))
    problem = replace(problem, objectives=(Objective("kl"),), budgets=budgets)
    assert compared_metrics(problem) == ("kl", "size_bytes", "latency_ms")


def test_plain_predictions_come_from_predict_then_from_prices_and_never_without_predict():
    synthetic = additive_problem(4)
    one = replace(synthetic.problem, objectives=(Objective("kl"),))
    codes = one.space.sample(np.random.default_rng(0), 5)
    assert plain_predictions(one, codes) == [None, None]
    predicted = replace(one, predict=lambda c: np.full((len(c), 1), 7.0))
    quality, size = plain_predictions(predicted, codes)
    assert np.array_equal(quality, np.full(5, 7.0))
    assert np.array_equal(size, one.tables.predict("size_bytes", codes))


def test_relevance_follows_the_prices():
    synthetic = interacting(6)
    relevance = priced_relevance(synthetic.problem)
    spread = [u.std() for u in synthetic.problem.tables.unary["kl"]]
    assert np.allclose(relevance[0], np.array(spread) / np.sum(spread))
    assert priced_relevance(additive_problem(6).problem) == [None, None]


def test_an_interaction_is_learned_and_an_exact_prediction_is_left_alone():
    model, _, _ = trained(interacting(), 160)
    quality, size = model.report
    assert quality["in_use"]
    assert quality["error"] < 0.5 * quality["baseline_error"]
    assert quality["rank_correlation"] > quality["baseline_rank_correlation"]
    assert quality["coverage_95"] > 0.8
    assert not size["in_use"]
    assert "does not beat" in size["reason"]
    assert size["baseline_error"] == pytest.approx(0.0, abs=1e-6)


def test_the_exact_prediction_is_passed_on_without_spread():
    synthetic = interacting()
    model, _, _ = trained(synthetic, 64)
    codes = synthetic.problem.space.sample(np.random.default_rng(9), 6)
    foreseen = model.predict(codes)
    assert np.allclose(foreseen.at(0.0)[:, 1], synthetic.truth(codes)[:, 1])
    assert np.allclose(foreseen.spread[:, 1], 0.0, atol=1e-6)


def test_without_a_prediction_it_learns_from_scratch():
    synthetic = interacting()
    synthetic = replace(synthetic, problem=replace(synthetic.problem, predict=None))
    model, _, _ = trained(synthetic, 128)
    assert [row["baseline"] for row in model.report] == ["the mean", "the mean"]
    assert all(row["in_use"] for row in model.report)
    assert all(row["error"] < 0.5 * row["baseline_error"] for row in model.report)


def test_a_product_of_effects_is_learned_on_its_logarithm():
    synthetic = additive_problem(10, 3)
    rng = np.random.default_rng(4)
    powers = rng.normal(size=(10, 3))

    def truth(codes):
        found = np.exp(powers[np.arange(10), codes].sum(axis=1))
        return np.stack([found, codes.sum(axis=1).astype(float)], axis=1)

    model, _, _ = trained(replace(synthetic, truth=truth), 128)
    codes = synthetic.problem.space.sample(np.random.default_rng(9), 200)
    foreseen = model.predict(codes)
    assert foreseen.scales[0].offset is not None
    low, middle, high = (foreseen.at(z)[:, 0] for z in (-1.96, 0.0, 1.96))
    inside = (low <= truth(codes)[:, 0]) & (truth(codes)[:, 0] <= high)
    assert inside.mean() > 0.85
    assert (low >= 0).all()
    assert rank_correlation(middle, truth(codes)[:, 0]) > 0.9


def test_what_cannot_be_learned_is_not_used():
    synthetic = additive_problem(8)
    rng = np.random.default_rng(3)
    noise = replace(synthetic, truth=lambda codes: rng.normal(size=(len(codes), 2)))
    model, _, _ = trained(noise, 160)
    assert not model.in_use
    foreseen = model.predict(synthetic.problem.space.sample(rng, 5))
    assert np.ptp(foreseen.mean, axis=0).tolist() == [0.0, 0.0]
    assert (foreseen.spread > 0.5).all()


def test_nothing_is_judged_before_the_first_fit():
    synthetic = interacting()
    model = SurrogateModel(synthetic.problem)
    codes = synthetic.problem.space.sample(np.random.default_rng(0), 7)
    model.judge(codes, synthetic.truth(codes))
    model.learn(codes, synthetic.truth(codes), 7)
    assert [row["predicted"] for row in model.report] == [0, 0]
    assert not model.in_use


def test_restored_it_predicts_the_same_bit_for_bit():
    synthetic = interacting()
    model, codes, values = trained(synthetic, 100)
    again = SurrogateModel(synthetic.problem)
    again.restore(json.loads(json.dumps(model.state)), codes, values)
    new = synthetic.problem.space.sample(np.random.default_rng(9), 20)
    assert np.array_equal(model.predict(new).mean, again.predict(new).mean)
    assert np.array_equal(model.predict(new).spread, again.predict(new).spread)
    assert model.predict(new).scales == again.predict(new).scales
    assert again.state == model.state


@pytest.mark.parametrize("wrong", [{"fewest": 3}, {"shaped": 7}, {"growth": 1.0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(StrategyError):
        ModelSettings(**wrong)
