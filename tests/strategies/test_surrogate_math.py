from __future__ import annotations

import numpy as np
import pytest

from automl.strategies.code_kernels_math import CodeKernels
from automl.strategies.surrogate_math import KernelShape
from automl.strategies.surrogate_math import best_fit
from automl.strategies.surrogate_math import line
from automl.strategies.surrogate_math import regress
from automl.strategies.surrogate_math import sharpened


def drawn(n, cards, seed=0):
    return np.random.default_rng(seed).integers(0, cards, size=(n, len(cards)))


def one_hot(codes, cards):
    columns = [codes[:, d] == o for d, c in enumerate(cards) for o in range(c)]
    return np.stack(columns, axis=1).astype(np.float64)


def primal(codes, values, design, cards, weights, noise, new, new_design):
    """Return mean and deviation of ridge regression on one-hot features with an unpenalized trend."""
    scale = np.sqrt(np.repeat(weights, cards))
    features, ahead = one_hot(codes, cards) * scale, one_hot(new, cards) * scale
    x, z = np.hstack([design, features]), np.hstack([new_design, ahead])
    penalty = np.diag([1e-9] * design.shape[1] + [1.0] * features.shape[1])
    gram = x.T @ x / noise + penalty
    beta = np.linalg.solve(gram, x.T @ values / noise)
    rest = values - x @ beta
    s2 = (rest @ rest / noise + beta[design.shape[1] :] @ beta[design.shape[1] :]) / (
        len(values) - design.shape[1]
    )
    variance = s2 * (noise + (z * np.linalg.solve(gram, z.T).T).sum(axis=1))
    return z @ beta, np.sqrt(variance)


def test_posterior_is_that_of_ridge_regression_on_the_features():
    cards = [3, 2, 4, 3]
    rng = np.random.default_rng(0)
    codes, new = drawn(30, cards), drawn(9, cards, seed=5)
    values = one_hot(codes, cards) @ rng.normal(size=12) + rng.normal(size=30)
    base, new_base = rng.normal(size=30), rng.normal(size=9)
    design, new_design = np.stack([np.ones(30), base], 1), np.stack([np.ones(9), new_base], 1)
    weights = np.array([0.4, 0.3, 0.2, 0.1])
    shape = KernelShape(weights, (1.0, 0.0, 0.0, 0.0), 0.3)
    fit = regress(CodeKernels.plain(cards), codes, values, design, shape)
    mean, spread = fit.predict(new, new_design)
    expected = primal(codes, values, design, cards, weights, 0.3, new, new_design)
    assert np.allclose(mean, expected[0], atol=1e-6)
    assert np.allclose(spread, expected[1], rtol=1e-5)


def test_without_noise_what_was_told_is_repeated():
    cards = [3] * 6
    codes = np.unique(drawn(40, cards), axis=0)
    values = np.random.default_rng(1).normal(size=len(codes))
    shape = KernelShape(np.full(6, 1 / 6), (0.4, 0.3, 0.3, 0.0), 1e-9)
    design = np.ones((len(codes), 1))
    mean, spread = regress(CodeKernels.plain(cards), codes, values, design, shape).predict(codes, design)
    assert np.allclose(mean, values, atol=1e-5)
    assert (spread < 1e-3).all()


def planted(n, strength, seed=0):
    cards = [3] * 8
    rng = np.random.default_rng(seed)
    effects, joint = rng.normal(size=(8, 3)), rng.normal(size=(7, 3, 3))
    codes = drawn(n, cards, seed=seed + 1)
    values = effects[np.arange(8), codes].sum(axis=1)
    values = values + strength * joint[np.arange(7), codes[:, :-1], codes[:, 1:]].sum(axis=1)
    return codes, values


def test_likelihood_finds_interactions_where_they_are_and_none_where_not():
    even = np.full(8, 1 / 8)
    shapes = {}
    for strength in (0.0, 1.5):
        codes, values = planted(160, strength)
        kernels = CodeKernels.plain([3] * 8)
        shapes[strength] = best_fit(kernels, codes, values, np.ones((160, 1)), [even]).shape
    assert shapes[0.0].mix[0] > shapes[1.5].mix[0]
    assert shapes[1.5].mix[1] > 0


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_new_codes_are_predicted_and_the_intervals_hold(strength):
    codes, values = planted(400, strength)
    known, new = slice(0, 240), slice(240, 400)
    design = np.ones((400, 1))
    kernels = CodeKernels.plain([3] * 8)
    fit = best_fit(kernels, codes[known], values[known], design[known], [np.full(8, 1 / 8)])
    mean, spread = fit.predict(codes[new], design[new])
    assert np.abs(mean - values[new]).mean() < 0.4 * np.abs(values[known].mean() - values[new]).mean()
    # 95 % of 160, less three standard deviations of the count
    assert (np.abs(mean - values[new]) <= 1.96 * spread + 1e-6).mean() > 0.88


def test_an_effect_that_an_option_has_everywhere_is_learned_from_few():
    cards = [3] * 40
    codes, design = drawn(200, cards), np.ones((200, 1))
    values = np.array([0.0, 1.0, 4.0])[codes].sum(axis=1)
    known, new = slice(0, 12), slice(12, 200)
    fit = best_fit(
        CodeKernels.plain(cards), codes[known], values[known], design[known], [np.full(40, 1 / 40)]
    )
    assert fit.shape.mix[3] > 0
    mean, _ = fit.predict(codes[new], design[new])
    assert np.abs(mean - values[new]).mean() < 0.3 * np.abs(values[new] - values[known].mean()).mean()


def test_relevance_follows_the_effects():
    cards = [3] * 6
    codes = drawn(80, cards)
    values = 5.0 * codes[:, 2] + 0.01 * codes[:, 4]
    even = np.full(6, 1 / 6)
    shape = KernelShape(even, (1.0, 0.0, 0.0, 0.0), 0.01)
    weights = sharpened(regress(CodeKernels.plain(cards), codes, values, np.ones((80, 1)), shape))
    assert weights.sum() == pytest.approx(1.0)
    assert weights.argmax() == 2
    assert weights.min() >= 0.1 / 6


def test_a_constant_metric_is_predicted_as_that_constant():
    codes = drawn(20, [2] * 5)
    design = np.ones((20, 1))
    fit = best_fit(CodeKernels.plain([2] * 5), codes, np.full(20, 7.0), design, [np.full(5, 0.2)])
    mean, spread = fit.predict(codes[:3], design[:3])
    assert np.allclose(mean, 7.0)
    assert np.allclose(spread, 0.0, atol=1e-6)


def test_line_is_least_squares_and_the_mean_without_base():
    rng = np.random.default_rng(0)
    base, noise = rng.normal(size=50), rng.normal(size=50)
    slope, intercept = np.polyfit(base, 2.0 + 3.0 * base + noise, 1)
    found = line(base, 2.0 + 3.0 * base + noise)
    assert found[:2] == pytest.approx((intercept, slope))
    assert found[2] == pytest.approx((2.0 + 3.0 * base + noise - intercept - slope * base).std())
    assert line(None, base) == pytest.approx((base.mean(), 0.0, base.std()))
    assert line(np.ones(50), base) == pytest.approx((base.mean(), 0.0, base.std()))
