from __future__ import annotations

import numpy as np
import pytest

from automl.strategies.relaxation_math import Multilinear
from automl.strategies.relaxation_math import budget_pull
from automl.strategies.relaxation_math import gumbel_noise
from automl.strategies.relaxation_math import logit_slopes
from automl.strategies.relaxation_math import padded
from automl.strategies.relaxation_math import relaxed_shares

OFFERED = np.array([[True, True, True], [True, True, False]])


def metric(rng):
    unary = padded([rng.random(3), rng.random(2)], 3)
    return Multilinear(unary, {(0, 1): rng.random((3, 2))}, 0.5)


def test_shares_sum_to_one_over_what_is_offered():
    shares = relaxed_shares(np.random.default_rng(0).normal(size=(4, 2, 3)), OFFERED, 0.7)
    assert np.allclose(shares.sum(axis=-1), 1.0)
    assert (shares[:, 1, 2] == 0).all()
    assert (shares[:, OFFERED] > 0).all()


def test_a_low_temperature_decides():
    logits = np.array([[0.0, 1.0, 0.5], [2.0, 1.9, 9.0]])
    shares = relaxed_shares(logits, OFFERED, 1e-3)
    assert np.allclose(shares, [[0, 1, 0], [1, 0, 0]])


def test_the_average_is_the_metric_where_decisions_are_made():
    found = metric(np.random.default_rng(1))
    codes = np.array([[i, j] for i in range(3) for j in range(2)])
    hot = np.eye(3)[codes]
    assert np.allclose(found.average(hot)[0], found.at(codes))
    assert np.allclose(
        found.at(codes[:1]), 0.5 + found.unary[0, 0] + found.unary[1, 0] + found.pairs[0, 1][0, 0]
    )


def test_the_average_is_the_mean_over_drawn_decisions():
    rng = np.random.default_rng(2)
    found = metric(rng)
    shares = relaxed_shares(rng.normal(size=(1, 2, 3)), OFFERED, 1.0)
    exact = sum(
        shares[0, 0, i] * shares[0, 1, j] * found.at(np.array([[i, j]]))[0]
        for i in range(3)
        for j in range(2)
    )
    assert found.average(shares)[0][0] == pytest.approx(exact)


def test_slopes_are_the_derivative_by_the_logits():
    rng = np.random.default_rng(3)
    found, logits, step = metric(rng), rng.normal(size=(1, 2, 3)), 1e-6
    for temperature in (1.0, 0.4):
        shares = relaxed_shares(logits, OFFERED, temperature)
        slopes = logit_slopes(shares, found.average(shares)[1], temperature)
        for place in np.argwhere(OFFERED):
            moved = logits.copy()
            moved[0, place[0], place[1]] += step
            after = found.average(relaxed_shares(moved, OFFERED, temperature))[0][0]
            change = (after - found.average(shares)[0][0]) / step
            assert slopes[0, place[0], place[1]] == pytest.approx(change, abs=1e-5)


def test_bounds_hold_every_code_and_are_reached_without_pairs():
    rng = np.random.default_rng(4)
    found = metric(rng)
    codes = np.array([[i, j] for i in range(3) for j in range(2)])
    low, high = found.bounds(OFFERED)
    assert low <= found.at(codes).min()
    assert found.at(codes).max() <= high
    alone = Multilinear(found.unary, {}, 0.5)
    assert np.allclose(alone.bounds(OFFERED), (alone.at(codes).min(), alone.at(codes).max()))


def test_effects_add_up():
    found = metric(np.random.default_rng(5))
    more = found.plus(np.ones((2, 3)), 2.0)
    codes = np.array([[2, 1], [0, 0]])
    assert np.allclose(more.at(codes), found.at(codes) + 4.0)


def test_gumbel_noise_draws_from_the_softmax():
    rng = np.random.default_rng(6)
    logits = np.array([0.0, 1.0, -1.0])
    drawn = (logits + gumbel_noise(rng.random((20_000, 3)))).argmax(axis=1)
    shares = np.exp(logits) / np.exp(logits).sum()
    assert np.allclose(np.bincount(drawn) / 20_000, shares, atol=0.015)
    assert np.isfinite(gumbel_noise(np.array([0.0, 1.0 - 2.0**-53]))).all()


def test_room_below_the_budget_pulls_only_while_the_multiplier_stands():
    assert budget_pull(np.array([-0.1]), np.array([0.0]), np.array([5.0]))[0] == 0.0
    assert budget_pull(np.array([-0.1]), np.array([1.0]), np.array([5.0]))[0] == pytest.approx(0.5)
    assert budget_pull(np.array([0.2]), np.array([1.0]), np.array([5.0]))[0] == pytest.approx(2.0)
