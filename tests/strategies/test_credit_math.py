from __future__ import annotations

import numpy as np
import pytest

from automl.strategies.credit_math import duration_steps
from automl.strategies.credit_math import progress
from automl.strategies.credit_math import shares


def gained(points, violations=None, known=(), known_violations=None):
    points, known = np.array(points, dtype=float), np.array(known, dtype=float).reshape(-1, 2)
    violations = np.zeros(len(points)) if violations is None else np.array(violations, dtype=float)
    before = np.zeros(len(known)) if known_violations is None else np.array(known_violations, dtype=float)
    return progress(points, violations, known, before)


def test_a_trial_adds_the_share_of_the_box_that_it_alone_covers():
    # the box is (1 + 0.1) units wide in both objectives, each unit being 2 here
    added = gained([[1.0, 1.0], [2.0, 2.0]], known=[[0.0, 2.0], [2.0, 0.0]])
    assert added == pytest.approx([0.5 * 0.5 / 1.1**2, 0.0])


def test_what_the_batch_found_before_is_known():
    added = gained([[1.0, 1.0], [1.0, 1.0]], known=[[0.0, 2.0], [2.0, 0.0]])
    assert added[0] > 0
    assert added[1] == 0.0


def test_units_do_not_matter():
    rng = np.random.default_rng(0)
    points, known = rng.random((9, 2)), rng.random((5, 2))
    scale = np.array([1e-6, 1e9])
    assert np.allclose(gained(points, known=known), gained(points * scale + 3.0, known=known * scale + 3.0))


def test_the_first_feasible_trial_adds_all_and_before_it_less_violation_counts():
    violations = [0.8, 0.4, 0.6, 0.0]
    added = gained(np.ones((4, 2)), violations, known=[[0.0, 0.0]], known_violations=[1.0])
    assert added == pytest.approx([0.2, 0.5, 0.0, 1.0])


def test_an_infeasible_trial_adds_nothing_once_something_is_feasible():
    assert gained([[-5.0, -5.0]], [0.1], known=[[0.0, 0.0]]).tolist() == [0.0]


def test_the_very_first_trial_and_an_empty_batch():
    assert gained([[1.0, 1.0]]).tolist() == [1.0]
    assert gained([[1.0, 1.0]], [0.5]).tolist() == [0.0]
    assert gained(np.empty((0, 2))).tolist() == []


def test_durations_are_powers_of_two_of_the_average_and_deaf_to_noise():
    trials = np.array([10.0, 10.0, 10.0])
    steps = duration_steps(np.array([10.0, 10.0, 40.0]), trials)
    assert steps.tolist() == [0.5, 0.5, 2.0]
    noise = np.random.default_rng(0).uniform(0.8, 1.2, size=3)
    assert duration_steps(10.0 * noise, trials).tolist() == [1.0, 1.0, 1.0]
    assert duration_steps(np.zeros(3), trials).tolist() == [1.0, 1.0, 1.0]
    assert duration_steps(np.array([5.0, 0.0]), np.array([5.0, 0.0])).tolist() == [1.0, 1.0]


def test_shares_follow_credit_per_second_above_the_floor():
    credit, trials = np.array([3.0, 1.0, 0.0]), np.array([10.0, 10.0, 10.0])
    found = shares(credit, trials, np.ones(3), floor=0.1)
    assert found == pytest.approx([0.1 + 0.7 * 0.75, 0.1 + 0.7 * 0.25, 0.1])
    slow = shares(credit, trials, np.array([4.0, 0.5, 1.0]), floor=0.0)
    assert slow == pytest.approx([0.75 / 2.75, 2.0 / 2.75, 0.0])


def test_everybody_is_tried_and_equal_while_nobody_has_credit():
    untried = shares(np.array([2.0, 0.5, 0.0]), np.array([10.0, 10.0, 0.0]), np.ones(3), floor=0.0)
    assert untried == pytest.approx([0.2 / 0.45, 0.05 / 0.45, 0.2 / 0.45])
    assert shares(np.zeros(4), np.zeros(4), np.ones(4), floor=0.1) == pytest.approx([0.25] * 4)
