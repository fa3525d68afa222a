from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from automl.core.errors import ConfigError
from automl.transforms import ranges_math as rm
from automl.transforms.quantization_math import affine_parameters
from automl.transforms.quantization_math import fake_quantize_affine
from automl.transforms.quantization_math import quantize_symmetric


def error(rows, scale, bits, p=2.0):
    values = quantize_symmetric(rows, scale, bits).astype(np.float32) * scale[:, None]
    return (np.abs(values - rows) ** p).sum(1)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.sampled_from([2, 3, 4, 8]))
def test_the_maximum_step_clips_nothing(seed, bits):
    rows = np.random.default_rng(seed).normal(size=(4, 30)).astype(np.float32)
    scale = rm.max_row_scales(rows, bits)
    values = quantize_symmetric(rows, scale, bits).astype(np.float32) * scale[:, None]
    assert np.all(np.abs(values - rows) <= scale[:, None] * 0.5001)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.sampled_from([2, 3, 4]))
def test_the_searched_step_is_never_worse_than_the_maximum(seed, bits):
    rows = np.random.default_rng(seed).standard_t(3, size=(4, 60)).astype(np.float32)
    best, top = rm.lp_row_scales(rows, bits, p=2.0), rm.max_row_scales(rows, bits)
    assert np.all(error(rows, best, bits) <= error(rows, top, bits) * 1.0001)


def test_a_large_exponent_approaches_the_maximum_and_two_clips_outliers():
    rows = np.concatenate([np.random.default_rng(0).normal(size=500), [20.0]]).astype(np.float32)[None]
    top = rm.max_row_scales(rows, 4)[0]
    assert rm.lp_row_scales(rows, 4, p=64.0)[0] >= 0.9 * top
    assert rm.lp_row_scales(rows, 4, p=2.0)[0] < 0.7 * top


def test_importance_moves_the_step_to_the_columns_that_matter():
    rows = np.array([[8.0, 1.1, 1.1, 1.1]], np.float32)
    large = rm.lp_row_scales(rows, 3, p=2.0, importance=np.array([1.0, 0, 0, 0]))
    small = rm.lp_row_scales(rows, 3, p=2.0, importance=np.array([0.0, 1, 1, 1]))
    assert abs(quantize_symmetric(rows, large, 3)[0, 0] * large[0] - 8) < 0.01
    assert abs(quantize_symmetric(rows, small, 3)[0, 1] * small[0] - 1.1) < 0.1


def test_a_zero_row_has_a_positive_step():
    assert rm.lp_row_scales(np.zeros((1, 4), np.float32), 4)[0] > 0


def test_histograms_grow_without_losing_mass_and_keep_zero_on_an_edge():
    counts, reach = rm.add_to_histogram(np.zeros(16), 0.0, np.array([-1.0, 0.1, 1.0]))
    counts, reach = rm.add_to_histogram(counts, reach, np.array([3.5, -0.2]))
    assert reach == 4.0
    assert counts.sum() == 5
    assert counts[:8].sum() == 2
    assert counts[-1] == 1


def test_percentile_cuts_the_tails_and_a_hundred_keeps_all():
    counts, reach = rm.add_to_histogram(np.zeros(4096), 0.0, np.r_[np.linspace(0, 1, 10_000), 50.0])
    assert rm.percentile_range(counts, reach, 0.0, 50.0, percentile=100) == (0.0, 50.0)
    low, high = rm.percentile_range(counts, reach, 0.0, 50.0, percentile=99.9)
    assert low == pytest.approx(0.0, abs=0.03)
    assert high < 1.1
    with pytest.raises(ConfigError, match="percentile"):
        rm.percentile_range(counts, reach, 0.0, 50.0, percentile=10)


def test_the_lp_range_beats_the_full_range_on_heavy_tails():
    x = np.random.default_rng(0).standard_t(3, 50_000).astype(np.float32)
    counts, reach = rm.add_to_histogram(np.zeros(8192), 0.0, x)
    low, high = rm.lp_range(counts, reach, float(x.min()), float(x.max()), bits=4, p=2.0)

    def loss(a, b):
        return np.mean((fake_quantize_affine(x, *affine_parameters(a, b, 4), 4) - x) ** 2)

    assert loss(low, high) < 0.5 * loss(x.min(), x.max())
    assert x.min() <= low <= 0 <= high <= x.max()


def test_the_lp_range_of_non_negative_values_starts_at_zero():
    counts, reach = rm.add_to_histogram(np.zeros(8192), 0.0, np.linspace(0, 6, 5000))
    low, high = rm.lp_range(counts, reach, 0.0, 6.0)
    assert low == 0
    assert high == pytest.approx(6.0, rel=0.05)


def test_a_constant_zero_value_has_a_usable_range():
    counts, reach = rm.add_to_histogram(np.zeros(64), 0.0, np.zeros(5))
    assert rm.lp_range(counts, reach, 0.0, 0.0) == (0.0, 0.0)
