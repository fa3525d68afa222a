from __future__ import annotations

import numpy as np
import pytest

from automl.strategies.operators.niche_math import associate
from automl.strategies.operators.niche_math import extreme_points
from automl.strategies.operators.niche_math import nadir_point
from automl.strategies.operators.niche_math import niche_order
from automl.strategies.operators.reference_directions import das_dennis


def simplex(scale, shift):
    return das_dennis(3, 6) * np.array(scale) + np.array(shift)


@pytest.mark.parametrize("scale", [(1.0, 1.0, 1.0), (3.0, 5e-4, 2e6)])
def test_intercepts_of_a_simplex_are_its_corners(scale):
    shift = np.array([10.0, -2.0, 0.5])
    points = simplex(scale, shift)
    extremes = extreme_points(points, shift, np.empty((0, 3)))
    assert np.allclose(extremes, np.diag(scale) + shift)
    worst = points.max(axis=0) + 100.0 * np.array(scale)
    assert np.allclose(nadir_point(extremes, shift, points.max(axis=0), worst), shift + scale)


def test_earlier_extreme_points_stay_until_something_lies_nearer_to_the_axis():
    ideal, known = np.zeros(2), np.array([[1.0, 0.0], [0.0, 1.0]])
    points = np.array([[0.5, 0.5], [0.9, 0.1]])
    assert extreme_points(points, ideal, known).tolist() == known.tolist()
    nearer = np.array([[0.8, 0.0], [0.5, 0.5]])
    assert extreme_points(nearer, ideal, known).tolist() == [[0.8, 0.0], [0.0, 1.0]]


def test_a_hair_off_the_axis_counts_as_on_it():
    points = np.array([[1.0, 0.0005], [2.0, 0.0], [0.0, 1.0]])
    assert extreme_points(points, np.zeros(2), np.empty((0, 2)))[0].tolist() == [1.0, 0.0005]


@pytest.mark.parametrize(
    "extremes",
    [
        [[1.0, 1.0], [1.0, 1.0]],  # one point twice: no plane
        [[1.0, 0.0], [0.0, 0.0]],  # the ideal itself: singular
        [[2.0, 1.0], [3.0, 2.0]],  # the line meets an axis below the ideal
    ],
)
def test_a_degenerate_plane_falls_back_to_the_front(extremes):
    found = nadir_point(np.array(extremes), np.zeros(2), np.array([4.0, 6.0]), np.array([8.0, 9.0]))
    assert found.tolist() == [4.0, 6.0]


def test_an_intercept_beyond_everything_seen_is_clipped():
    found = nadir_point(np.array([[1.0, 0.9], [0.0, 1.0]]), np.zeros(2), np.ones(2), np.array([5.0, 5.0]))
    assert found == pytest.approx([5.0, 1.0])


def test_a_flat_front_takes_the_worst_ever_seen():
    found = nadir_point(
        np.array([[1.0, 3.0]] * 2), np.array([0.0, 3.0]), np.array([2.0, 3.0]), np.full(2, 7.0)
    )
    assert found.tolist() == [2.0, 7.0]


def test_points_on_a_direction_are_associated_with_it_at_distance_zero():
    directions = das_dennis(3, 12)
    lengths = np.random.default_rng(0).uniform(0.1, 3.0, size=(91, 1))
    niches, distances = associate(directions * lengths, directions)
    assert niches.tolist() == list(range(91))
    assert np.allclose(distances, 0.0, atol=1e-7)


def test_distance_is_perpendicular():
    niches, distances = associate(np.array([[3.0, 1.0]]), np.array([[0.0, 1.0], [1.0, 0.0], [1.0, -1.0]]))
    assert niches.tolist() == [1]
    assert distances == pytest.approx([1.0])


def test_a_single_objective_has_one_niche():
    niches, distances = associate(np.array([[0.3], [2.0]]), das_dennis(1, 1))
    assert (niches.tolist(), distances.tolist()) == ([0, 0], [0.0, 0.0])


def reference_order(niches, distances, counts, rng):
    """Niching as the paper words it, one member at a time."""
    counts, left, order = counts.copy(), set(range(len(niches))), []
    while left:
        least = min(counts[niches[i]] for i in left)
        niche = rng.choice(sorted({niches[i] for i in left if counts[niches[i]] == least}))
        members = sorted(i for i in left if niches[i] == niche)
        taken = min(members, key=lambda i: distances[i]) if least == 0 else rng.choice(members)
        order.append(int(taken))
        left.remove(taken)
        counts[niche] += 1
    return order


def levels(order, niches, counts):
    """Return the number of members the taking niche held at each step."""
    held, found = counts.copy(), []
    for i in order:
        found.append(int(held[niches[i]]))
        held[niches[i]] += 1
    return found


def test_niches_fill_as_one_member_at_a_time_would():
    rng = np.random.default_rng(0)
    for _ in range(50):
        niches, counts = rng.integers(0, 5, size=20), rng.integers(0, 3, size=5)
        distances = rng.random(20)
        order = niche_order(niches, distances, counts, rng)
        stepwise = reference_order(niches, distances, counts, rng)
        assert sorted(order.tolist()) == list(range(20))
        assert levels(order, niches, counts) == levels(stepwise, niches, counts)
        for niche in np.flatnonzero(counts == 0):
            members = np.flatnonzero(niches == niche)
            if members.size:
                first = next(i for i in order if niches[i] == niche)
                assert first == members[distances[members].argmin()]


def test_occupied_niches_take_any_member_and_equal_niches_any_turn():
    niches, distances = np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.1, 0.2])
    firsts = [
        niche_order(niches, distances, np.array([1, 1]), np.random.default_rng(s))[0] for s in range(200)
    ]
    shares = np.bincount(firsts, minlength=4) / 200
    assert shares == pytest.approx(0.25, abs=0.1)


def test_no_member_no_order():
    empty = np.empty(0, dtype=np.int64)
    assert niche_order(empty, np.empty(0), np.zeros(3, dtype=np.int64), np.random.default_rng(0)).shape == (
        0,
    )
