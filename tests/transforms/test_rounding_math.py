from __future__ import annotations

import itertools

import numpy as np
import pytest

from automl.transforms import rounding_math as rm


def problem(groups=2, rows=3, columns=20, seed=0):
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(groups, columns, columns)) / np.sqrt(columns)
    x = rng.normal(size=(groups, 400, columns)) @ (mix + 0.3 * np.eye(columns))
    gram = np.swapaxes(x, 1, 2) @ x / 400
    return rng.normal(size=(groups, rows, columns)), rm.damped(gram, 0.01)


def limits(rows, bits):
    return np.full(rows, -(2 ** (bits - 1))), np.full(rows, 2 ** (bits - 1) - 1)


def test_the_factor_inverts_the_matrix():
    _, gram = problem()
    upper = rm.inverse_factor(gram)
    assert np.allclose(np.tril(upper, -1), 0)
    assert np.allclose(np.swapaxes(upper, 1, 2) @ upper @ gram, np.eye(20), atol=1e-8)


def test_without_correlation_compensation_is_nearest_rounding():
    weight, _ = problem()
    gram = np.broadcast_to(np.diag(np.arange(1.0, 21)), (2, 20, 20))
    codes = rm.compensate(weight, rm.inverse_factor(gram), np.full((2, 3, 1), 0.5), limits(3, 4))
    assert np.array_equal(codes, np.clip(np.rint(weight / 0.5), -8, 7))


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_compensation_and_refinement_each_lower_the_output_error(bits):
    weight, gram = problem(rows=16)
    step = np.abs(weight).max(axis=2, keepdims=True) / 2 ** (bits - 1)
    bound = limits(16, bits)
    nearest = np.clip(np.rint(weight / step), bound[0][0], bound[1][0])
    codes = rm.compensate(weight, rm.inverse_factor(gram), step, bound)
    better = rm.refine(weight, codes, gram, step, bound)
    errors = [rm.quadratic_error(weight - c * step, gram) for c in (nearest, codes, better)]
    assert errors[1].sum() < errors[0].sum()
    assert np.all(errors[2] <= errors[1] * (1 + 1e-5))
    assert errors[2].sum() < errors[1].sum()


def test_block_size_does_not_change_the_answer():
    weight, gram = problem()
    factor, step = rm.inverse_factor(gram), np.full((2, 3, 1), 0.4)
    small, large = (rm.compensate(weight, factor, step, limits(3, 3), block=b) for b in (3, 64))
    assert np.array_equal(small, large)
    refined = [rm.refine(weight, small, gram, step, limits(3, 3), block=b) for b in (3, 64)]
    assert np.array_equal(*refined)


def test_groups_are_independent():
    weight, gram = problem()
    factor, step = rm.inverse_factor(gram), np.full((2, 3, 1), 0.4)
    together = rm.compensate(weight, factor, step, limits(3, 3))
    alone = rm.compensate(weight[1:], factor[1:], step[1:], limits(3, 3))
    assert np.array_equal(together[1:], alone)


def test_every_row_may_have_its_own_limits():
    weight, gram = problem()
    low, high = np.array([-2, -4, -8]), np.array([1, 3, 7])
    codes = rm.compensate(weight, rm.inverse_factor(gram), np.full((2, 3, 1), 0.05), (low, high))
    assert np.array_equal(codes.min(axis=(0, 2)), low)
    assert np.array_equal(codes.max(axis=(0, 2)), high)


def test_refinement_stays_near_the_optimum_of_a_tiny_problem():
    weight, gram = problem(groups=1, rows=1, columns=6, seed=3)
    step = np.full((1, 1, 1), 0.7)
    codes = rm.compensate(weight, rm.inverse_factor(gram), step, limits(1, 2))
    codes = rm.refine(weight, codes, gram, step, limits(1, 2), passes=5)
    reached = rm.quadratic_error(weight - codes * step, gram)[0, 0]
    every = np.array(list(itertools.product(range(-2, 2), repeat=6)))[None]
    best = rm.quadratic_error(weight - every * step, gram).min()
    assert best * 0.999 <= reached <= 1.5 * best


def test_the_refitted_step_is_the_least_squares_one():
    weight, gram = problem()
    codes = np.rint(weight / 0.5)
    step = rm.refit_scale(weight, codes, gram)[:, :, None]
    least = rm.quadratic_error(weight - codes * step, gram)
    for factor in (0.98, 1.02):
        assert np.all(rm.quadratic_error(weight - codes * step * factor, gram) > least)
    assert np.isnan(rm.refit_scale(weight, np.zeros_like(codes), gram)).all()


def test_an_input_that_was_never_seen_rounds_to_nearest():
    weight, gram = problem(groups=1)
    dead = gram.copy()
    dead[:, 4] = dead[:, :, 4] = 0
    dead = rm.damped(dead, 0.01)
    codes = rm.compensate(weight[:1], rm.inverse_factor(dead), np.full((1, 3, 1), 0.5), limits(3, 4))
    assert np.array_equal(codes[..., 4], np.clip(np.rint(weight[:1, :, 4] / 0.5), -8, 7))


def test_strong_inputs_come_first():
    gram = np.diag([1.0, 5.0, 3.0])[None]
    assert rm.activation_order(gram).tolist() == [1, 2, 0]
