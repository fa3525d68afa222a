from __future__ import annotations

import numpy as np
import pytest

from automl.core.trial import TrialState
from automl.testing.problems import additive_problem
from automl.testing.problems import conditional_problem
from automl.testing.problems import constant_problem
from automl.testing.problems import dtlz2_problem
from automl.testing.problems import single_objective_problem
from automl.testing.problems import zdt1_problem


def test_measurements_are_the_truth():
    synthetic = additive_problem(5, pairs=True)
    codes = synthetic.problem.space.sample(np.random.default_rng(0), 4)
    trials = synthetic.trials([synthetic.problem.space.decode(c) for c in codes], 7)
    assert [t.number for t in trials] == [7, 8, 9, 10]
    got = np.array([[t.value("kl"), t.value("size_bytes")] for t in trials])
    assert np.allclose(got, synthetic.truth(codes))


def test_later_options_harm_more_and_cost_less():
    tables = additive_problem(20, 4).problem.tables
    assert all((np.diff(v) > 0).all() for v in tables.unary["kl"])
    assert all((np.diff(v) < 0).all() for v in tables.unary["size_bytes"])


def test_borders_cost_extra():
    synthetic = additive_problem(4, pairs=True, seed=1)
    plain = additive_problem(4, seed=1)
    mixed, even = np.array([[0, 1, 0, 1]]), np.array([[1, 1, 1, 1]])
    assert synthetic.truth(mixed)[0, 1] > plain.truth(mixed)[0, 1]
    assert synthetic.truth(even)[0, 1] == pytest.approx(plain.truth(even)[0, 1])


def test_budget_is_reachable_or_not_as_asked():
    codes = np.indices([3] * 6).reshape(6, -1).T
    for fraction, reachable in ((0.4, True), (-1.0, False)):
        synthetic = additive_problem(6, fraction=fraction)
        within = synthetic.truth(codes)[:, 1] <= synthetic.problem.budgets[0].limit
        assert within.any() == reachable
        assert not within.all()


def test_seed_changes_the_problem():
    a, b, c = (additive_problem(4, seed=s).problem.tables.unary["kl"][0] for s in (0, 0, 1))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_tables_can_be_withheld():
    assert additive_problem(4, give_tables=False).problem.tables is None


def test_failed_trials_carry_a_reason():
    synthetic = additive_problem(4)
    (trial,) = synthetic.failed([synthetic.problem.space.default], 3)
    assert (trial.number, trial.state) == (3, TrialState.FAILED)
    assert trial.failure


def test_constant_problem_is_constant():
    synthetic = constant_problem()
    assert len(np.unique(synthetic.truth(synthetic.problem.space.sample(np.random.default_rng(0), 9)))) == 1


def test_conditional_problem_has_inactive_dimensions():
    space = conditional_problem().problem.space
    assert space.repair(np.full((1, 8), 2)).tolist() == [[2, 2, 2, 2, 2, 0, 2, 0]]


def test_zdt1_front():
    synthetic = zdt1_problem(4, 11)
    codes = np.array([[0, 0, 0, 0], [10, 0, 0, 0], [5, 0, 0, 0]])
    assert np.allclose(synthetic.truth(codes), [[1, 0], [0, 1], [1 - np.sqrt(0.5), 0.5]])


def test_a_single_objective_leaves_the_measurements_and_budgets():
    synthetic = single_objective_problem(additive_problem(4))
    assert [o.metric for o in synthetic.problem.objectives] == ["kl"]
    assert synthetic.problem.budgets[0].metric == "size_bytes"
    (trial,) = synthetic.trials([synthetic.problem.space.default])
    assert trial.value("size_bytes") > 0


@pytest.mark.parametrize("n_objectives", [2, 3, 4])
def test_dtlz2_front_is_the_sphere(n_objectives):
    synthetic = dtlz2_problem(6, 9, n_objectives=n_objectives)
    codes = synthetic.problem.space.sample(np.random.default_rng(0), 50)
    away = np.linalg.norm(synthetic.truth(codes), axis=1)
    codes[:, n_objectives - 1 :] = 4
    assert np.allclose(np.linalg.norm(synthetic.truth(codes), axis=1), 1.0)
    assert (away >= 1.0).all()
    assert away.max() > 1.2
    (trial,) = synthetic.trials([synthetic.problem.space.decode(codes[0])])
    assert [trial.value(o.metric) for o in synthetic.problem.objectives] == pytest.approx(
        synthetic.truth(codes[:1])[0].tolist()
    )
