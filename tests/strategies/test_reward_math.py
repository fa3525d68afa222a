from __future__ import annotations

import numpy as np
import pytest

from automl.core.indicators import hypervolume
from automl.strategies.reward_math import adapted_exponent
from automl.strategies.reward_math import blended_moments
from automl.strategies.reward_math import joined_front
from automl.strategies.reward_math import soft_reward
from automl.strategies.reward_math import standard_scores
from automl.strategies.reward_math import volume_gains


def test_blended_moments_are_those_of_the_weighted_mixture():
    rng = np.random.default_rng(0)
    old, new = rng.normal(2.0, 3.0, size=(400, 2)), rng.normal(-1.0, 0.5, size=(100, 2))
    mean, variance = blended_moments(old.mean(axis=0), old.var(axis=0), new, 0.8)
    together = np.concatenate([old, new])
    np.testing.assert_allclose(mean, together.mean(axis=0))
    np.testing.assert_allclose(variance, together.var(axis=0))


def test_smaller_losses_score_higher_in_deviations():
    scores = standard_scores(np.array([[1.0], [3.0], [100.0]]), np.array([3.0]), np.array([4.0]))
    assert scores[:, 0].tolist() == [1.0, 0.0, -3.0]


def test_what_does_not_vary_scores_nothing():
    assert standard_scores(np.array([[5.0, 1.0]]), np.array([5.0, 5.0]), np.zeros(2)).tolist() == [[0.0, 0.0]]


def test_reward_is_the_logarithm_of_the_product():
    rng = np.random.default_rng(1)
    scores, weights = rng.normal(size=(5, 2)), rng.dirichlet(np.ones(2), size=5)
    ratios = 1.0 + rng.random((5, 2))
    exponents = np.array([2.0, 0.5])
    product = np.exp((weights * scores).sum(axis=1)) * (ratios**-exponents).prod(axis=1)
    np.testing.assert_allclose(soft_reward(scores, weights, np.log(ratios), exponents), np.log(product))


def test_a_met_budget_changes_nothing():
    scores, weights = np.array([[0.7]]), np.ones((1, 1))
    rewards = [soft_reward(scores, weights, np.zeros((1, 1)), np.array([w])) for w in (0.0, 50.0)]
    assert rewards[0] == rewards[1] == 0.7


def test_exponent_rests_where_enough_meet_the_budgets():
    assert adapted_exponent(5.0, 0.6, wanted=0.6, rate=0.1) == 5.0
    assert adapted_exponent(5.0, 0.2, wanted=0.6, rate=0.1) > 5.0
    assert adapted_exponent(5.0, 0.9, wanted=0.6, rate=0.1) < 5.0
    assert adapted_exponent(999.0, 0.0, wanted=1.0, rate=9.0) == 1e3


def test_gains_are_differences_of_the_hypervolume():
    rng = np.random.default_rng(2)
    front, points, reference = rng.random((6, 2)), rng.random((20, 2)), np.array([1.1, 1.1])
    gains = volume_gains(front, points, reference)
    for point, gain in zip(points, gains, strict=True):
        more = hypervolume(np.concatenate([front, point[None]]), reference)
        assert gain == pytest.approx(more - hypervolume(front, reference), abs=1e-12)
    assert (gains > 0).any()
    assert (gains == 0).any()


def test_first_point_gains_its_own_box():
    gains = volume_gains(np.empty((0, 2)), np.array([[1.0, 2.0], [4.0, 0.0]]), np.array([3.0, 3.0]))
    assert gains.tolist() == [2.0, 0.0]


def test_joined_front_keeps_what_nothing_dominates_once():
    front = joined_front(np.array([[1.0, 2.0], [2.0, 1.0]]), np.array([[1.0, 2.0], [1.5, 1.5], [3.0, 3.0]]))
    assert front.tolist() == [[1.0, 2.0], [1.5, 1.5], [2.0, 1.0]]
