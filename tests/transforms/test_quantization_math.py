from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl.core.errors import ConfigError
from automl.transforms import quantization_math as qm

finite = st.floats(-1e4, 1e4, width=32)


@given(finite, finite, st.sampled_from([4, 6, 8]))
def test_zero_is_exact_and_the_zero_point_is_an_integer_code(a, b, bits):
    scale, zero = qm.affine_parameters(min(a, b), max(a, b), bits)
    assert isinstance(zero, int)
    assert 0 <= zero <= 2**bits - 1
    assert scale > 0
    assert qm.fake_quantize_affine(np.zeros(1, np.float32), scale, zero, bits)[0] == 0


@given(st.floats(-100, 0), st.floats(0.01, 100), st.integers(0, 2**31))
def test_values_inside_the_range_move_at_most_one_step(low, high, seed):
    scale, zero = qm.affine_parameters(low, high)
    x = np.random.default_rng(seed).uniform(low, high, 64).astype(np.float32)
    assert np.abs(qm.fake_quantize_affine(x, scale, zero) - x).max() <= scale * 1.001


def test_quantizing_twice_changes_nothing():
    scale, zero = qm.affine_parameters(-1.3, 4.0)
    once = qm.fake_quantize_affine(np.linspace(-3, 6, 999, dtype=np.float32), scale, zero)
    assert np.array_equal(once, qm.fake_quantize_affine(once, scale, zero))


@pytest.mark.parametrize("bounds", [(2.0, 1.0), (float("nan"), 1.0), (0.0, float("inf"))])
def test_bad_ranges_are_refused(bounds):
    with pytest.raises(ConfigError, match="range"):
        qm.affine_parameters(*bounds)


def test_bits_outside_the_range_are_refused():
    with pytest.raises(ConfigError, match="from 2 to 8"):
        qm.code_limits(9)


def test_eight_bit_weights_never_use_minus_128():
    weight = np.array([[-1.0, 0.5]], np.float32)
    codes = qm.quantize_symmetric(weight, np.array([0.001], np.float32), 8)
    assert codes.tolist() == [[-127, 127]]


@pytest.mark.parametrize(("columns", "group"), [(6, 0), (6, 2), (7, 3)])
def test_group_scales_apply_to_their_own_columns(columns, group):
    count = qm.n_groups(columns, group)
    scale = np.arange(1, 2 * count + 1, dtype=np.float32).reshape(2, -1)
    scale = scale if group else scale[:, 0]
    codes = np.ones((2, columns), np.int8)
    values = qm.dequantize_symmetric(codes, scale, group)
    expected = [[scale[r, c // group] if group else scale[r] for c in range(columns)] for r in range(2)]
    assert np.array_equal(values, np.array(expected, np.float32))
    assert np.array_equal(qm.quantize_symmetric(values, scale, 4, group), codes)


def test_corrected_bias_keeps_the_mean_output():
    rng = np.random.default_rng(0)
    x = rng.normal(1.0, 1.0, (500, 8))
    weight = rng.normal(size=(1, 3, 8))
    rounded = np.round(weight)
    bias = rng.normal(size=3)
    fixed = qm.correct_bias(bias, weight, rounded, x.mean(0)[None])
    assert np.allclose((x @ weight[0].T + bias).mean(0), (x @ rounded[0].T + fixed).mean(0), atol=1e-5)
    drifted = qm.correct_bias(bias, weight, rounded, x.mean(0)[None], (x + 1).mean(0)[None])
    assert np.allclose(
        (x @ weight[0].T + bias).mean(0), ((x + 1) @ rounded[0].T + drifted).mean(0), atol=1e-5
    )
