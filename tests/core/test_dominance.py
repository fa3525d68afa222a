from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from automl.core.dominance import constrained_order
from automl.core.dominance import constrained_sort
from automl.core.dominance import crowding_distance
from automl.core.dominance import nondominated_mask
from automl.core.dominance import nondominated_sort
from automl.core.dominance import with_point


def dominates(a, b, va=0.0, vb=0.0):
    if max(va, 0.0) != max(vb, 0.0):
        return va < vb
    return bool(np.all(a <= b) and np.any(a < b))


def peel(points, violations):
    """Return ranks by peeling fronts with plain loops."""
    ranks, left, rank = np.full(len(points), -1), set(range(len(points))), 0
    while left:
        front = {
            i
            for i in left
            if not any(dominates(points[j], points[i], violations[j], violations[i]) for j in left)
        }
        for i in front:
            ranks[i] = rank
        left -= front
        rank += 1
    return ranks


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 3))
def test_sort_is_peeling(seed, n, width):
    rng = np.random.default_rng(seed)
    points = rng.integers(0, 5, (n, width)).astype(float)
    violations = np.maximum(rng.integers(-2, 3, n), 0).astype(float)
    assert np.array_equal(constrained_sort(points, violations), peel(points, violations))
    assert np.array_equal(nondominated_sort(points), peel(points, np.zeros(n)))
    assert np.array_equal(nondominated_mask(points), peel(points, np.zeros(n)) == 0)


def test_equal_points_do_not_dominate_each_other():
    points = np.array([[1.0, 2.0], [1.0, 2.0], [2.0, 2.0]])
    assert nondominated_mask(points).tolist() == [True, True, False]
    assert nondominated_sort(points).tolist() == [0, 0, 1]


def test_feasible_beats_infeasible_then_violation_then_dominance():
    points = np.array([[9.0, 9.0], [0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
    violations = np.array([0.0, 0.2, 0.1, 0.1])
    assert constrained_sort(points, violations).tolist() == [0, 3, 1, 2]


def test_slack_does_not_make_a_feasible_row_better():
    points = np.array([[1.0, 2.0], [2.0, 1.0]])
    assert constrained_sort(points, np.array([-5.0, 0.0])).tolist() == [0, 0]


def test_crowding_by_hand():
    points = np.array([[0.0, 4.0], [1.0, 2.0], [2.0, 1.0], [4.0, 0.0]])
    distance = crowding_distance(points)
    assert np.isinf(distance[[0, 3]]).all()
    assert distance[[1, 2]].tolist() == pytest.approx([2 / 4 + 3 / 4, 3 / 4 + 2 / 4])


def test_a_constant_objective_gives_no_row_infinity():
    points = np.array([[0.0, 7.0], [1.0, 7.0], [2.0, 7.0], [3.0, 7.0]])
    shuffled = points[[2, 0, 3, 1]]
    assert np.isinf(crowding_distance(shuffled)).tolist() == [False, True, True, False]
    assert crowding_distance(np.ones((5, 2))).tolist() == [0.0] * 5


@pytest.mark.parametrize("n", [0, 1, 2])
def test_small_fronts(n):
    points = np.arange(2.0 * n).reshape(n, 2)
    assert np.isinf(crowding_distance(points)).all()
    assert nondominated_mask(points).shape == (n,)
    assert constrained_sort(points, None).shape == (n,)
    assert constrained_order(points, np.zeros(n)).shape == (n,)


def test_order_is_by_rank_then_crowding_then_index():
    points = np.array([[5.0, 5.0], [0.0, 4.0], [0.9, 2.0], [1.0, 1.9], [4.0, 0.0], [2.0, 1.0]])
    order = constrained_order(points, None).tolist()
    assert order[:2] == [1, 4]
    assert order[-1] == 0
    assert order.index(5) < order.index(2)


def test_order_of_a_thousand_rows_is_quick_enough_for_a_generation():
    points = np.random.default_rng(0).random((1000, 3))
    assert sorted(constrained_order(points, np.zeros(1000)).tolist()) == list(range(1000))


def test_points_added_one_by_one_give_the_nondominated_ones():
    rng = np.random.default_rng(5)
    points = rng.integers(0, 12, size=(300, 3)).astype(float)
    front = np.empty((0, 3))
    for point in points:
        front = with_point(front, point)
    wanted = np.unique(points[nondominated_mask(points)], axis=0)
    assert np.array_equal(np.unique(front, axis=0), wanted)
    assert len(front) == len(wanted)
