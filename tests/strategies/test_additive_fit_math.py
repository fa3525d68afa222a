from __future__ import annotations

import numpy as np
import pytest

from automl.strategies.additive_fit_math import fitted_effects
from automl.strategies.additive_fit_math import leave_one_out


def drawn(n, rng, *, width=3, n_dimensions=6):
    codes = rng.integers(0, width, size=(n, n_dimensions))
    effects = rng.normal(size=(2, n_dimensions, width)) * 10.0 ** rng.integers(
        -2, 2, size=(1, n_dimensions, 1)
    )
    values = np.stack([e[np.arange(n_dimensions), codes].sum(axis=1) for e in effects], axis=1) + np.array(
        [3.0, -1.0]
    )
    return codes, values


def predicted(codes, effects, constants):
    return np.stack([e[np.arange(codes.shape[1]), codes].sum(axis=1) for e in effects], axis=1) + constants


def test_additive_values_are_found_exactly_from_enough_trials():
    codes, values = drawn(120, np.random.default_rng(0))
    found = fitted_effects(codes[:80], values[:80], 3)
    assert np.allclose(predicted(codes[80:], *found), values[80:], atol=1e-5)


def test_few_trials_already_say_more_than_the_mean():
    codes, values = drawn(400, np.random.default_rng(1))
    found = fitted_effects(codes[:12], values[:12], 3)
    error = ((predicted(codes[12:], *found) - values[12:]) ** 2).mean(axis=0)
    assert (error < 0.8 * values[12:].var(axis=0)).all()


def test_noise_is_not_learned():
    rng = np.random.default_rng(2)
    codes, noise = rng.integers(0, 3, size=(40, 20)), rng.normal(size=(40, 1))
    effects, constants = fitted_effects(codes, noise, 3)
    assert predicted(codes, effects, constants).std() < 0.75 * noise.std()
    assert constants[0] + effects[0].mean(axis=1).sum() == pytest.approx(noise.mean(), abs=0.3)


def test_equal_rows_give_the_mean_alone():
    effects, constants = fitted_effects(np.zeros((5, 4), dtype=np.int64), np.arange(5.0)[:, None], 3)
    assert not effects.any()
    assert constants[0] == 2.0


def test_leaving_one_out_is_what_a_fit_without_the_row_misses():
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(9, 4))
    rows -= rows.mean(axis=0)
    target = rng.normal(size=(9, 1))
    target -= target.mean()
    values, vectors = np.linalg.eigh(rows @ rows.T)
    found = leave_one_out(np.maximum(values, 0), vectors, target, 0.5)
    for row in range(9):
        rest = np.arange(9) != row
        x, y = rows[rest], target[rest, 0]
        centre, mean = x.mean(axis=0), y.mean()
        slope = np.linalg.solve((x - centre).T @ (x - centre) + 0.5 * np.eye(4), (x - centre).T @ (y - mean))
        missed = target[row, 0] - mean - (rows[row] - centre) @ slope
        assert found[row, 0] == pytest.approx(missed, rel=1e-9)
