from __future__ import annotations

from dataclasses import replace

import numpy as np

from automl.core.budget import Budget
from automl.strategies.screening import hard_excess
from automl.strategies.screening import predicted_ratings
from automl.testing.problems import additive_problem


def test_violations_are_the_relative_excess_over_hard_budgets_on_objectives():
    synthetic = additive_problem(5)
    codes = synthetic.problem.space.sample(np.random.default_rng(0), 40)
    kept = synthetic.problem.budgets[0]
    others = (Budget("soft", "kl", 1e-9, hard=False), Budget("elsewhere", "latency_ms", 1e-9))
    problem = replace(synthetic.problem, predict=synthetic.truth, budgets=(kept, *others))
    points, violations = predicted_ratings(problem, codes)
    assert np.array_equal(points, synthetic.truth(codes))
    assert np.allclose(violations, np.maximum(points[:, 1] / kept.limit - 1.0, 0.0))


def test_a_budget_from_below_is_a_budget_on_the_negated_metric():
    synthetic = additive_problem(5)
    floor = Budget("agreement>=0.7", "kl", 0.7, at_least=True)
    problem = replace(
        synthetic.problem, budgets=(floor,), predict=lambda codes: np.array([[-0.6, 1.0], [-0.8, 1.0]])
    )
    _, violations = predicted_ratings(problem, np.zeros((2, 5), dtype=np.int64))
    assert np.allclose(violations, [0.1 / 0.7, 0.0])


def test_without_prediction_there_are_no_ratings():
    assert predicted_ratings(additive_problem(5).problem, np.zeros((1, 5), dtype=np.int64)) is None


def test_excess_is_signed_and_leaves_out_soft_budgets_and_other_metrics():
    budgets = (
        Budget("size", "size_bytes", 10.0),
        Budget("soft", "kl", 1.0, hard=False),
        Budget("elsewhere", "latency_ms", 1.0),
        Budget("floor", "accuracy", 0.5, at_least=True),
    )
    values = np.array([[1.0, 12.0, -0.6], [2.0, 5.0, -0.4]])
    excess = hard_excess(values, ("kl", "size_bytes", "accuracy"), budgets)
    assert np.allclose(excess, [[0.2, -0.2], [-0.5, 0.2]])
    assert hard_excess(values, ("kl", "size_bytes", "accuracy"), ()).shape == (2, 0)


def test_an_objective_that_nothing_predicts_orders_nothing_and_breaks_no_budget():
    synthetic = additive_problem(5)
    codes = np.zeros((2, 5), dtype=np.int64)
    problem = replace(synthetic.problem, predict=lambda codes: np.array([[0.1, np.nan], [0.2, np.nan]]))
    points, violations = predicted_ratings(problem, codes)
    assert points.tolist() == [[0.1, 0.0], [0.2, 0.0]]
    assert violations.tolist() == [0.0, 0.0]
