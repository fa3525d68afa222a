from __future__ import annotations

import numpy as np
import pytest

from automl.searchspaces.dimension import Dimension
from automl.searchspaces.space import SearchSpace
from automl.strategies.base import AdditiveTables
from automl.strategies.layer_states import layer_states
from automl.strategies.layer_states import mean_curves
from automl.strategies.layer_states import price_features
from automl.testing.problems import additive_problem
from automl.testing.problems import conditional_problem
from automl.testing.problems import integer_space


def test_curves_are_read_on_their_own_scale_and_ranges_on_a_logarithmic_one():
    curves = [np.array([0.0, 1.0]), np.array([300.0, 250.0, 200.0]), np.array([10.0, 0.0]), np.array([7.0])]
    rows = price_features(curves)
    np.testing.assert_allclose(rows[0, :5], [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(rows[1, :5], [1, 0.75, 0.5, 0.25, 0])
    assert rows[3].tolist() == [0.0] * 6
    np.testing.assert_allclose(rows[:3, 5], [0.0, 1.0, 0.5])


def test_every_dimension_looks_different_and_numbers_are_bounded():
    problem = additive_problem(60).problem
    for tables in (problem.tables, None):
        states = layer_states(problem.space, tables, ["kl", "size_bytes"])
        assert np.abs(states).max() <= 1.0
        distance = np.abs(states[:, None] - states[None, :]).max(axis=2)
        assert distance[~np.eye(60, dtype=bool)].min() > 0.1


def test_prices_widen_the_state():
    problem = additive_problem(6).problem
    width = [layer_states(problem.space, t, ["kl", "latency_ms"]).shape for t in (None, problem.tables)]
    assert width[1][1] == width[0][1] + 6


def test_kind_and_condition_are_seen():
    space = SearchSpace(tuple(Dimension(k, "s", (0, 1), 0) for k in ("a", "b")))
    states = layer_states(space, None, [])
    assert [1.0, 0.0] in states.T.tolist()
    assert [0.0, 1.0] in states.T.tolist()
    conditional = layer_states(conditional_problem().problem.space, None, [])
    assert [0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0] in conditional.T.tolist()


def test_pair_terms_count_by_their_mean():
    pair = np.array([[0.0, 2.0], [4.0, 10.0]])
    tables = AdditiveTables({"kl": (np.zeros(2), np.zeros(2))}, {"kl": {(0, 1): pair}})
    same = AdditiveTables({"kl": (pair.mean(axis=1), pair.mean(axis=0))})
    space = integer_space([2, 2])
    np.testing.assert_allclose(layer_states(space, tables, ["kl"]), layer_states(space, same, ["kl"]))
    assert tables.unary["kl"][0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("n", [1, 2])
def test_tiny_spaces_have_states(n):
    assert np.isfinite(layer_states(integer_space([1] * n), None, ["kl"])).all()


def test_mean_curves_leave_the_tables_alone():
    pair = np.array([[0.0, 2.0], [4.0, 10.0]])
    tables = AdditiveTables({"kl": (np.ones(2), np.zeros(2))}, {"kl": {(0, 1): pair}})
    curves = mean_curves(tables, "kl")
    assert [c.tolist() for c in curves] == [[2.0, 8.0], [2.0, 6.0]]
    assert tables.unary["kl"][0].tolist() == [1.0, 1.0]
