from __future__ import annotations

import numpy as np
import pytest

from automl.strategies.operators.selection import CrowdingSurvival
from automl.strategies.operators.selection import FeasibleMating
from automl.strategies.operators.selection import FocusedSurvival
from automl.strategies.operators.selection import crowding_survival
from automl.strategies.operators.selection import focused_survival
from automl.strategies.operators.selection import tournament


def front(n=21):
    x = np.linspace(0.0, 1.0, n)
    return np.stack([x, 1.0 - x], axis=1)


def test_feasible_survive_before_infeasible_and_less_violation_first():
    points = np.array([[0.0, 0.0], [5.0, 5.0], [1.0, 1.0], [6.0, 4.0]])
    violations = np.array([0.5, 0.0, 0.1, 0.0])
    assert crowding_survival(points, violations, 4).tolist() == [1, 3, 2, 0]


def test_dominated_rows_die_first():
    points = np.concatenate([front() + 0.5, front()])
    assert set(crowding_survival(points, np.zeros(42), 21)) == set(range(21, 42))


def test_ends_of_the_front_survive_any_size():
    assert set(crowding_survival(front(), np.zeros(21), 2)) == {0, 20}


def test_repeated_points_leave_room_for_distinct_ones():
    points = np.concatenate([np.repeat([[0.0, 1.0]], 10, axis=0), [[0.5, 0.5], [1.0, 0.0], [2.0, 2.0]]])
    assert {10, 11, 12} <= set(crowding_survival(points, np.zeros(13), 4))


def test_focus_reserves_a_share_for_the_first_objective():
    live = focused_survival(front(101), np.zeros(101), 20, focus=0.5)
    assert len(set(live)) == 20
    assert set(range(9)) <= set(live)
    assert 100 in live


@pytest.mark.parametrize("size", [1, 5, 101, 500])
def test_extreme_focus_is_pure_sorting_or_pure_crowding(size):
    points, none = front(101), np.zeros(101)
    assert np.array_equal(focused_survival(points, none, size, focus=1.0), np.arange(101)[:size])
    assert np.array_equal(
        focused_survival(points, none, size, focus=0.0), crowding_survival(points, none, size)
    )


@pytest.mark.parametrize("survive", [CrowdingSurvival(), FocusedSurvival()])
def test_survivors_are_distinct_rows_best_first(survive):
    rng = np.random.default_rng(0)
    points, violations = rng.random((50, 2)), np.maximum(rng.normal(size=50), 0.0)
    live = survive(points, violations, 30)
    assert len(set(live.tolist())) == 30
    assert violations[live[0]] == 0.0
    assert survive(points[:0], violations[:0], 5).shape == (0,)


def test_tournament_prefers_the_head():
    rng = np.random.default_rng(0)
    winners = tournament(10, 20_000, rng, pressure=2)
    assert winners.min() == 0
    assert winners.max() == 9
    # the better of two uniform draws is the first with probability 1 - 0.9 ** 2
    assert (winners == 0).mean() == pytest.approx(0.19, abs=0.012)
    assert tournament(1, 3, rng).tolist() == [0, 0, 0]


def test_focus_takes_the_others_from_the_survival_it_is_given():
    points = front(101)

    def middle(points, violations, size):
        return np.argsort(np.abs(points[:, 0] - 0.503), kind="stable")[:size]

    live = FocusedSurvival(0.5, middle)(points, np.zeros(101), 20)
    assert set(live.tolist()) == {*range(10), *range(46, 56)}


def test_mating_prefers_the_less_violating_and_is_uniform_among_feasible_members():
    rng = np.random.default_rng(0)
    violations = np.array([0.0, 0.0, 0.0, 0.5])
    drawn = np.bincount(FeasibleMating()(violations, 40_000, rng), minlength=4) / 40_000
    # the infeasible member wins only against itself
    assert drawn[3] == pytest.approx(1 / 16, abs=0.005)
    assert drawn[:3] == pytest.approx(5 / 16, abs=0.01)
