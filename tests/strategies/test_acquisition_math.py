from __future__ import annotations

import numpy as np
import pytest

from automl.core.indicators import hypervolume
from automl.strategies.acquisition_math import chosen_batch
from automl.strategies.acquisition_math import feasible_chance
from automl.strategies.acquisition_math import gains


def test_gain_is_the_area_that_only_the_new_point_covers():
    front = np.array([[1.0, 2.0], [2.0, 1.0]])
    points = np.array([[1.0, 1.0], [1.5, 1.5], [2.0, 2.0], [0.5, 4.0], [1.0, 2.0]])
    assert gains(points, front, np.array([3.0, 3.0])) == pytest.approx([1.0, 0.25, 0.0, 0.0, 0.0])


def test_gain_on_an_empty_front_is_the_box_to_the_reference():
    found = gains(np.array([[1.0, 1.0], [4.0, 0.0]]), np.empty((0, 2)), np.array([3.0, 3.0]))
    assert found == pytest.approx([4.0, 0.0])


def test_gain_of_one_objective_is_the_improvement():
    found = gains(np.array([[1.0], [2.5]]), np.array([[2.0], [5.0]]), np.array([9.0]))
    assert found == pytest.approx([1.0, 0.0])


def greedy(points, chance, front, reference, count):
    """Return the same choice by recomputing every promise."""
    rows = []
    for _ in range(count):
        before = hypervolume(front, reference)
        promise = [
            (hypervolume(np.vstack([front, p]), reference) - before) * c
            for p, c in zip(points, chance, strict=True)
        ]
        for row in rows:
            promise[row] = 0.0
        if max(promise) <= 1e-12:
            break
        rows.append(int(np.argmax(promise)))
        front = np.vstack([front, points[rows[-1]]])
    return rows


@pytest.mark.parametrize("width", [2, 3])
def test_batch_is_the_greedy_one(width):
    rng = np.random.default_rng(width)
    reference = np.full(width, 1.2)
    for _ in range(20):
        points, front = rng.random((40, width)), 0.4 + 0.6 * rng.random((6, width))
        chance = rng.random(40)
        found = chosen_batch(points, chance, front, reference, 6)
        assert found.tolist() == greedy(points, chance, front, reference, 6)


def test_what_cannot_be_feasible_or_adds_nothing_is_not_chosen():
    points = np.array([[0.1, 0.1], [0.5, 0.5], [0.9, 0.9]])
    chosen = chosen_batch(points, np.array([0.0, 1.0, 1.0]), np.array([[0.6, 0.6]]), np.ones(2), 3)
    assert chosen.tolist() == [1]
    assert chosen_batch(points[:0], np.empty(0), np.ones((1, 2)), np.ones(2), 3).tolist() == []


def test_chance_is_the_product_over_budgets_and_certain_without_spread():
    excess = np.array([[0.0, -1.0], [-1.0, 1.0], [1e-10, -0.5], [1e-3, -0.5]])
    spread = np.array([[1.0, 1.0], [1.0, 2.0], [0.0, 0.0], [0.0, 0.0]])
    expected = [0.5 * 0.841345, 0.841345 * 0.308538, 1.0, 0.0]
    assert feasible_chance(excess, spread) == pytest.approx(expected, abs=1e-6)
    assert feasible_chance(np.zeros((3, 0)), np.zeros((3, 0))).tolist() == [1.0, 1.0, 1.0]
