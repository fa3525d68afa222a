from __future__ import annotations

import numpy as np
import pytest

from automl.strategies.base import AdditiveTables
from automl.strategies.operators.sampling import enumerate_codes
from automl.strategies.price_wall import PriceWall
from automl.testing.problems import additive_problem
from automl.testing.problems import conditional_problem
from automl.testing.problems import integer_space


def plain(limit, anchor=None):
    """Three layers whose options cost 4, 2, 1."""
    tables = AdditiveTables({"size_bytes": (np.array([4.0, 2.0, 1.0]),) * 3})
    return PriceWall(integer_space([3] * 3), tables, {"size_bytes": limit}, anchor)


def test_the_last_layers_are_lowered_first_and_by_one():
    codes = np.zeros((1, 3), dtype=np.int64)
    assert plain(12.0).lowered(codes).tolist() == [[0, 0, 0]]
    assert plain(10.0).lowered(codes).tolist() == [[0, 0, 1]]
    assert plain(8.0).lowered(codes).tolist() == [[0, 1, 1]]
    assert plain(5.0).lowered(codes).tolist() == [[1, 1, 2]]
    assert plain(3.0).lowered(codes).tolist() == [[2, 2, 2]]


def test_rows_are_lowered_on_their_own():
    codes = np.array([[0, 0, 0], [2, 2, 2], [0, 2, 0]])
    assert plain(8.0).lowered(codes).tolist() == [[0, 1, 1], [2, 2, 2], [0, 2, 1]]


def test_what_cannot_be_met_ends_at_the_cheapest():
    assert plain(1.0).lowered(np.zeros((1, 3), dtype=np.int64)).tolist() == [[2, 2, 2]]


def test_excess_is_a_fraction_of_the_limit_and_forgives_rounding():
    codes = np.array([[0, 0, 0], [1, 1, 1]])
    np.testing.assert_allclose(plain(8.0).excess(codes), [0.5, 0.0])
    assert plain(12.0 * (1 - 1e-12)).excess(codes[:1]) == 0.0


def test_order_of_the_options_does_not_matter():
    tables = AdditiveTables({"size_bytes": (np.array([1.0, 4.0, 2.0]),) * 2})
    wall = PriceWall(integer_space([3] * 2), tables, {"size_bytes": 6.0})
    assert wall.lowered(np.array([[1, 1]])).tolist() == [[1, 2]]


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("fraction", [0.05, 0.3, 0.7])
def test_every_code_ends_within_the_limit(pairs, fraction):
    problem = additive_problem(10, 3, pairs=pairs, fraction=fraction).problem
    limit = problem.budgets[0].limit
    cheapest = np.full(10, 2)
    wall = PriceWall(problem.space, problem.tables, {"size_bytes": limit}, cheapest)
    codes = problem.space.sample(np.random.default_rng(0), 200)
    lowered = wall.lowered(codes)
    assert (problem.tables.predict("size_bytes", lowered) <= limit * (1 + 1e-9)).all()
    within = problem.tables.predict("size_bytes", codes) <= limit
    np.testing.assert_array_equal(lowered[within], codes[within])


def test_conditions_are_repaired_before_pricing():
    problem = conditional_problem().problem
    every = enumerate_codes(problem.space)
    prices = problem.tables.predict("size_bytes", every)
    limit = float(np.quantile(prices, 0.05))
    wall = PriceWall(problem.space, problem.tables, {"size_bytes": limit}, every[prices.argmin()])
    lowered = wall.lowered(problem.space.sample(np.random.default_rng(1), 100))
    np.testing.assert_array_equal(lowered, problem.space.repair(lowered))
    assert (wall.excess(lowered) == 0).all()


def trapped():
    """Two layers that are cheap only together at option 1: no single step helps."""
    pair = np.array([[5.0, 9.0], [9.0, 1.0]])
    tables = AdditiveTables(
        {"size_bytes": (np.zeros(2), np.zeros(2), np.array([1.0, 0.0]))}, {"size_bytes": {(0, 1): pair}}
    )
    return integer_space([2] * 3), tables


def test_the_anchor_mends_what_walking_cannot():
    space, tables = trapped()
    code = np.zeros((1, 3), dtype=np.int64)
    assert PriceWall(space, tables, {"size_bytes": 2.0}).lowered(code).tolist() == [[0, 0, 1]]
    anchored = PriceWall(space, tables, {"size_bytes": 2.0}, np.array([1, 1, 0])).lowered(code)
    assert anchored.tolist() == [[1, 1, 0]]


def test_leading_decisions_are_kept_where_the_anchor_allows():
    tables = AdditiveTables(
        {"size_bytes": (np.array([1.0, 0.0]),) * 2},
        {"size_bytes": {(0, 1): np.array([[5.0, 0.0], [5.0, 5.0]])}},
    )
    wall = PriceWall(integer_space([2] * 2), tables, {"size_bytes": 1.0}, np.array([0, 1]))
    assert wall.lowered(np.array([[1, 1]])).tolist() == [[0, 1]]


def test_several_limits_hold_together():
    tables = AdditiveTables(
        {"size_bytes": (np.array([4.0, 1.0, 2.0]),) * 4, "latency_ms": (np.array([3.0, 3.0, 1.0]),) * 4}
    )
    limits = {"size_bytes": 9.0, "latency_ms": 6.0}
    wall = PriceWall(integer_space([3] * 4), tables, limits, np.full(4, 2))
    lowered = wall.lowered(np.zeros((1, 4), dtype=np.int64))
    for metric, limit in limits.items():
        assert tables.predict(metric, lowered)[0] <= limit
