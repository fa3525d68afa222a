from __future__ import annotations

import json
from dataclasses import replace

import numpy as np

from automl.strategies.relaxed_metrics import RelaxedMetrics
from automl.testing.problems import additive_problem


def measured(synthetic, count, seed=0):
    codes = synthetic.problem.space.sample(np.random.default_rng(seed), count)
    return codes, synthetic.truth(codes)


def test_prices_are_known_from_the_start_pairs_included():
    synthetic = additive_problem(9, pairs=True)
    metrics = RelaxedMetrics(synthetic.problem)
    codes, values = measured(synthetic, 20)
    assert metrics.priced
    assert np.allclose(np.stack([m.at(codes) for m in metrics.known], axis=1), values)


def test_without_prices_nothing_is_known_until_trials_show_it():
    synthetic = additive_problem(6, give_tables=False)
    metrics = RelaxedMetrics(synthetic.problem, fewest=10)
    assert metrics.known == [None, None]
    metrics.learn(*measured(synthetic, 9))
    assert metrics.known == [None, None]
    metrics.learn(*measured(synthetic, 80))
    codes, values = measured(synthetic, 40, seed=1)
    assert np.allclose(np.stack([m.at(codes) for m in metrics.known], axis=1), values, rtol=1e-3)
    assert not metrics.priced


def test_trials_correct_wrong_prices():
    synthetic = additive_problem(6, seed=1)
    wrong = additive_problem(6, seed=2).problem.tables
    metrics = RelaxedMetrics(replace(synthetic.problem, tables=wrong))
    codes, values = measured(synthetic, 40, seed=1)
    before = np.abs(metrics.known[0].at(codes) - values[:, 0]).mean()
    metrics.learn(*measured(synthetic, 80))
    assert np.abs(metrics.known[0].at(codes) - values[:, 0]).mean() < 0.01 * before


def test_state_is_plain_json_and_brings_everything_back():
    synthetic = additive_problem(6, give_tables=False)
    first, second = RelaxedMetrics(synthetic.problem), RelaxedMetrics(synthetic.problem)
    second.restore(json.loads(json.dumps(first.state)))
    assert second.known == [None, None]
    first.learn(*measured(synthetic, 30))
    second.restore(json.loads(json.dumps(first.state)))
    codes, _ = measured(synthetic, 10, seed=1)
    for one, other in zip(first.known, second.known, strict=True):
        assert one.at(codes).tolist() == other.at(codes).tolist()
