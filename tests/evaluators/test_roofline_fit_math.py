from __future__ import annotations

import numpy as np
import pytest

from automl.core.errors import EvaluationError
from automl.core.rng import child_rng
from automl.evaluators.roofline_fit_math import Factors
from automl.evaluators.roofline_fit_math import fit_factors
from automl.evaluators.roofline_fit_math import spearman


def rows(n=20):
    rng = child_rng(3, "rows")
    return rng.uniform(0.001, 5.0, n), rng.uniform(0.001, 5.0, n), rng.integers(1, 4, n).astype(float)


def test_planted_factors_are_found():
    compute, memory, kernels = rows()
    planted = Factors(1.7, 1.2, 0.01)
    found, error = fit_factors(compute, memory, kernels, planted.predict(compute, memory, kernels))
    assert (found.compute, found.memory, found.kernel_ms) == pytest.approx((1.7, 1.2, 0.01))
    assert error == pytest.approx(0.0, abs=1e-9)


def test_short_operators_count_as_much_as_long_ones():
    compute, memory, kernels = rows()
    times = 2.0 * compute + memory
    long = times.argmax()
    bent = times.copy()
    bent[long] *= 1.1
    found, error = fit_factors(compute, memory, kernels, bent)
    assert found.compute == pytest.approx(2.0, rel=0.1)
    assert error < 0.05


def test_no_factor_is_negative():
    compute, memory, kernels = rows()
    found, _ = fit_factors(compute, memory, kernels, np.full(20, 1.0))
    assert min(found.compute, found.memory, found.kernel_ms) >= 0.0


@pytest.mark.parametrize("times", [[1.0, 2.0, 3.0], [1.0, 2.0, 0.0, 4.0]])
def test_too_few_or_empty_times_are_refused(times):
    with pytest.raises(EvaluationError, match="at least four operators"):
        fit_factors(times, times, times, times)


def test_ranks_ignore_any_increasing_change():
    values = np.array([3.0, 1.0, 2.0, 9.0])
    assert spearman(values, np.exp(values)) == pytest.approx(1.0)
    assert spearman(values, -values) == pytest.approx(-1.0)


@pytest.mark.parametrize("values", [[1.0, 2.0], [2.0, 2.0, 2.0]])
def test_ranks_of_nothing_are_refused(values):
    with pytest.raises(EvaluationError, match="cannot be compared"):
        spearman(values, values)
