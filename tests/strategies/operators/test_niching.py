from __future__ import annotations

import json

import numpy as np
import pytest

from automl.strategies.operators.niche_math import associate
from automl.strategies.operators.niching import NicheSurvival
from automl.strategies.operators.reference_directions import das_dennis

DIRECTIONS = das_dennis(3, 12)


def survival(directions=DIRECTIONS, seed=0):
    return NicheSurvival(directions, np.random.default_rng(seed))


def sphere(n=2000, seed=0, scale=(1.0, 1.0, 1.0)):
    points = np.abs(np.random.default_rng(seed).normal(size=(n, 3)))
    return points / np.linalg.norm(points, axis=1, keepdims=True) * np.array(scale)


@pytest.mark.parametrize("scale", [(1.0, 1.0, 1.0), (1e-4, 30.0, 2e7)])
def test_one_survivor_a_niche_whatever_the_units(scale):
    points = np.concatenate([sphere(), np.eye(3)]) * np.array(scale)
    live = survival()(points, np.zeros(len(points)), 91)
    niches, _ = associate(points[live] / np.array(scale), DIRECTIONS)
    assert len(set(niches.tolist())) >= 89


def test_better_fronts_first_and_feasible_before_infeasible():
    points = np.concatenate([sphere(20) * 2.0, sphere(20), sphere(10) * 0.1])
    violations = np.concatenate([np.zeros(40), np.linspace(0.5, 0.1, 10)])
    live = survival()(points, violations, 45)
    assert set(live[:20].tolist()) == set(range(20, 40))
    assert set(live[20:40].tolist()) == set(range(20))
    assert live[40:].tolist() == [49, 48, 47, 46, 45]


def test_infeasible_rows_do_not_move_the_bounds():
    whole, part = survival(), survival()
    points, violations = sphere(30), np.zeros(30)
    violations[:10] = 1.0
    points[:10] *= 0.01
    whole(points, violations, 20)
    part(points[10:], violations[10:], 20)
    assert {k: v for k, v in whole.state_dict().items() if k != "rng"} == {
        k: v for k, v in part.state_dict().items() if k != "rng"
    }


def test_only_infeasible_rows_live_by_violation():
    assert survival()(sphere(3), np.array([0.3, 0.1, 0.2]), 2).tolist() == [1, 2]


def test_the_ideal_is_remembered_after_its_row_died():
    niching = survival(das_dennis(2, 4))
    niching(np.array([[0.0, 4.0], [4.0, 0.0], [1.0, 1.0]]), np.zeros(3), 2)
    niching(np.array([[2.0, 2.0], [3.0, 1.0]]), np.zeros(2), 2)
    assert niching.state_dict()["ideal"] == [0.0, 0.0]


def test_a_single_objective_lives_in_order_of_value():
    points = np.array([[3.0], [1.0], [2.0], [0.5]])
    assert survival(das_dennis(1, 1))(points, np.zeros(4), 3).tolist() == [3, 1, 2]


def test_constant_objectives_divide_nothing_by_zero():
    live = survival()(np.ones((10, 3)), np.zeros(10), 4)
    assert len(set(live.tolist())) == 4


def test_a_restored_survival_goes_on_alike():
    first, second = survival(seed=1), survival(seed=2)
    first(sphere(60), np.zeros(60), 30)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for seed in (5, 6):
        points = sphere(60, seed)
        chosen = [s(points, np.zeros(60), 30).tolist() for s in (first, second)]
        assert chosen[0] == chosen[1]


def test_an_unused_survival_can_be_saved():
    first, second = survival(seed=1), survival(seed=2)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert second.state_dict() == first.state_dict()
    assert survival()(np.empty((0, 3)), np.empty(0), 5).shape == (0,)
