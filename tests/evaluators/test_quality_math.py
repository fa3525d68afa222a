from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from automl.evaluators.quality_math import bootstrap_interval
from automl.evaluators.quality_math import cosine_rows
from automl.evaluators.quality_math import kl_rows
from automl.evaluators.quality_math import log_softmax
from automl.evaluators.quality_math import mean_interval
from automl.evaluators.quality_math import nll_rows
from automl.evaluators.quality_math import paired_difference_interval
from automl.evaluators.quality_math import wilson_interval


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (442, 500), (500, 500), (1, 1)])
def test_wilson_interval_agrees_with_scipy(k, n):
    expected = stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
    assert wilson_interval(k, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_paired_interval_is_centered_on_equal_counts_and_contains_the_value():
    low, high = paired_difference_interval(7, 7, 100)
    assert low == pytest.approx(-high)
    low, high = paired_difference_interval(9, 2, 100)
    assert low < 0.07 < high
    assert paired_difference_interval(0, 0, 500)[1] < 0.01


def test_paired_interval_covers_the_truth():
    rng = np.random.Generator(np.random.PCG64(0))
    counts = rng.multinomial(200, [0.06, 0.02, 0.92], size=1000)
    intervals = [paired_difference_interval(int(a), int(b), 200) for a, b, _ in counts]
    covered = np.mean([low <= 0.04 <= high for low, high in intervals])
    assert 0.93 <= covered <= 0.99


def test_mean_interval_of_one_value_is_the_value():
    assert mean_interval(np.array([3.0])) == (3.0, 3.0)
    low, high = mean_interval(np.arange(100.0))
    assert high - low == pytest.approx(2 * 1.96 * np.arange(100.0).std(ddof=1) / 10, rel=1e-3)


def test_bootstrap_interval_is_repeatable_and_near_the_normal_one():
    rng = np.random.Generator(np.random.PCG64(0))
    values = rng.normal(5, 2, 400)
    low, high = bootstrap_interval(values, np.ones(400))
    assert (low, high) == bootstrap_interval(values, np.ones(400))
    assert (low, high) == pytest.approx(mean_interval(values), abs=0.03)


def test_bootstrap_weighs_windows_by_their_tokens():
    low, high = bootstrap_interval(np.array([10.0, 100.0]), np.array([10.0, 100.0]))
    assert (low, high) == pytest.approx((1.0, 1.0))


def test_log_softmax_of_large_logits_is_finite_and_normalized():
    values = log_softmax(np.array([[1e4, 1e4 - 1, 0.0]]))
    assert np.isfinite(values).all()
    assert np.exp(values).sum() == pytest.approx(1.0)


def test_kl_and_nll_agree_with_their_definitions():
    p, q = np.array([[0.5, 0.3, 0.2]]), np.array([[0.2, 0.3, 0.5]])
    assert kl_rows(np.log(p), np.log(q)) == pytest.approx([stats.entropy(p[0], q[0])])
    assert kl_rows(np.log(p), np.log(p)) == pytest.approx([0.0], abs=1e-15)
    assert nll_rows(np.log(q), np.array([2])) == pytest.approx([-np.log(0.5)])


def test_cosine_of_rows():
    a = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0], [0.0, 0.0]])
    b = np.array([[0.0, 2.0], [3.0, 3.0], [0.0, 0.0], [1.0, 0.0]])
    assert cosine_rows(a, b) == pytest.approx([0.0, 1.0, 1.0, 0.0])
