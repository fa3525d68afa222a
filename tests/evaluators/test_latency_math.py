from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from automl.core.rng import child_rng
from automl.evaluators.latency_math import huber_line
from automl.evaluators.latency_math import kendall_tau
from automl.evaluators.latency_math import mape
from automl.evaluators.latency_math import ridge_loo
from automl.evaluators.latency_math import winsorize


def test_mape_is_relative_to_the_measurement():
    assert mape(np.array([1.1, 3.0]), np.array([1.0, 4.0])) == pytest.approx((0.1 + 0.25) / 2)


@pytest.mark.parametrize("levels", [4, 1000])
def test_kendall_tau_equals_scipy_with_and_without_ties(levels):
    rng = child_rng(0, "tau")
    a = rng.integers(0, levels, 40).astype(float)
    b = a + rng.integers(0, levels, 40)
    assert kendall_tau(a, b) == pytest.approx(stats.kendalltau(a, b).statistic)


def test_kendall_tau_of_a_constant_is_zero():
    assert kendall_tau(np.ones(5), np.arange(5.0)) == 0.0


def test_winsorize_clips_the_outlier_only():
    center = np.zeros(21)
    values = np.linspace(-1, 1, 21)
    values[3] = 50.0
    clipped = winsorize(values, center)
    assert clipped[3] < 5
    assert np.array_equal(np.delete(clipped, 3), np.delete(values, 3))


def test_winsorize_keeps_exact_data():
    values = np.array([1.0, 1.0, 1.0, 2.0])
    assert np.array_equal(winsorize(values, np.ones(4)), values)


def test_ridge_recovers_coefficients_from_clean_data():
    rng = child_rng(1, "ridge")
    x = rng.standard_normal((60, 3))
    x -= x.mean(axis=0)
    w = np.array([1.0, -2.0, 0.5])
    found, error = ridge_loo(x, x @ w, np.zeros(3))
    assert np.allclose(found, w, atol=0.02)
    assert error < 1e-3


def test_ridge_stays_at_the_prior_when_data_is_noise():
    rng = child_rng(2, "ridge")
    x = rng.standard_normal((12, 8))
    x -= x.mean(axis=0)
    prior = np.full(8, 0.3)
    y = x @ prior + 0.5 * rng.standard_normal(12)
    found, _ = ridge_loo(x, y - y.mean(), prior)
    free, *_ = np.linalg.lstsq(x, y - y.mean(), rcond=None)
    assert np.linalg.norm(found - prior) < 0.5 * np.linalg.norm(free - prior)


def test_huber_line_ignores_an_outlier():
    x = np.linspace(5, 10, 30)
    y = 0.5 + 1.1 * x
    y[4] = 100.0
    offset, slope, tilt = huber_line(x, y, np.full(30, 0.5))
    assert offset + slope * 8 == pytest.approx(0.5 + 1.1 * 8, rel=0.01)
    assert tilt == pytest.approx(0.0, abs=1e-9)


def test_huber_line_tilts_with_the_share_of_quantized_sites():
    x = np.linspace(5, 10, 40)
    share = np.tile([0.1, 0.3, 0.6, 0.9], 10)
    offset, slope, tilt = huber_line(x, x * (1.0 - 0.2 * (share - 0.5)), share)
    assert offset + (slope + tilt * 0.4) * 8 == pytest.approx(0.92 * 8, rel=0.01)


def test_huber_line_without_points_is_the_identity():
    assert huber_line(np.array([]), np.array([]), np.array([])) == (0.0, 1.0, 0.0)
