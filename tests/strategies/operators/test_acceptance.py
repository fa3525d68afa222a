from __future__ import annotations

import numpy as np

from automl.strategies.operators.acceptance import acceptance_order
from automl.strategies.operators.acceptance import improving

POINTS = np.array([[1.0, 5.0], [1.0, 4.0], [0.5, 9.0], [2.0, 2.0], [0.1, 0.1]])
VIOLATIONS = np.array([0.0, 0.0, 0.0, 0.0, 0.3])


def test_focused_order_is_violation_then_objectives_in_turn():
    assert acceptance_order(POINTS, VIOLATIONS, focused=True).tolist() == [2, 1, 0, 3, 4]


def test_otherwise_fronts_come_first():
    assert acceptance_order(POINTS, VIOLATIONS, focused=False)[-2:].tolist() == [0, 4]


def test_focused_improvement_is_lexicographic_and_strict():
    mask = improving(POINTS, VIOLATIONS, POINTS[0], 0.0, focused=True)
    assert mask.tolist() == [False, True, True, False, False]
    assert improving(POINTS, VIOLATIONS, POINTS[4], 0.3, focused=True).tolist() == [True] * 4 + [False]


def test_otherwise_improvement_is_constrained_dominance():
    mask = improving(POINTS, VIOLATIONS, POINTS[0], 0.0, focused=False)
    assert mask.tolist() == [False, True, False, False, False]
    assert improving(POINTS, VIOLATIONS, np.array([3.0, 3.0]), 0.0, focused=False).tolist() == [
        False,
        False,
        False,
        True,
        False,
    ]
    assert improving(POINTS[:0], VIOLATIONS[:0], POINTS[0], 0.0, focused=False).shape == (0,)


def test_the_order_and_the_improvement_agree():
    rng = np.random.default_rng(0)
    points, violations = rng.integers(0, 3, size=(60, 2)) * 1.0, np.maximum(rng.integers(-2, 2, size=60), 0.0)
    order = acceptance_order(points, violations, focused=True)
    for place, row in enumerate(order):
        mask = improving(points, violations, points[row], violations[row], focused=True)
        assert not mask[order[place:]].any()
