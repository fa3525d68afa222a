from __future__ import annotations

import numpy as np
import pytest

from automl.core.budget import Budget
from automl.strategies.forecast import Forecast
from automl.strategies.forecast import MetricScale


@pytest.mark.parametrize("offset", [None, 0.25])
def test_a_scale_and_back_is_the_identity(offset):
    values = np.array([0.0, 0.1, 3.0, 4e5])
    scale = MetricScale(offset)
    assert np.allclose(scale.back(scale.forward(values)), values)


def test_logarithms_are_offered_where_no_value_is_negative():
    offsets = [s.offset for s in MetricScale.candidates(np.array([0.0, 1.0, 2.0, 5.0, 9.0]))]
    assert offsets[0] is None
    assert offsets[1:] == pytest.approx([0.2, 2.0])
    for values in ([-1.0, 2.0, 3.0], [0.0, 0.0, 0.0], []):
        assert MetricScale.candidates(np.array(values)) == [MetricScale()]


def test_what_is_below_zero_is_still_finite():
    found = MetricScale(0.5).forward(np.array([-7.0, 0.0]))
    assert np.isfinite(found).all()
    assert found[0] < found[1]


def test_log_slope_is_that_of_the_scale():
    values, step = np.array([0.2, 1.5, 40.0]), 1e-6
    scale = MetricScale(0.3)
    slopes = (scale.forward(values + step) - scale.forward(values - step)) / (2 * step)
    assert scale.log_slope(values) == pytest.approx(np.log(slopes).sum(), abs=1e-6)
    assert MetricScale().log_slope(values) == 0.0


def test_values_at_deviations_are_quantiles_on_the_own_scale():
    mean, spread = np.array([[5.0, np.log(2.0)]]), np.array([[1.0, np.log(3.0)]])
    foreseen = Forecast(("a", "b"), mean, spread, (MetricScale(), MetricScale(0.5)))
    assert np.allclose(foreseen.at(0.0), [[5.0, 1.5]])
    assert np.allclose(foreseen.at(1.0), [[6.0, 5.5]])
    assert np.allclose(foreseen.at(-1.0), [[4.0, 2.0 / 3.0 - 0.5]])
    assert foreseen.at(-3.0)[0, 1] == 0.0


def test_excess_is_against_the_limit_on_the_scale_of_the_metric():
    mean, spread = np.array([[5.0, np.log(2.0), -0.8]]), np.full((1, 3), 0.5)
    scales = (MetricScale(), MetricScale(0.5), MetricScale())
    foreseen = Forecast(("a", "b", "accuracy"), mean, spread, scales)
    budgets = [
        Budget("one", "a", 4.0),
        Budget("two", "b", 1.5),
        Budget("soft", "a", 1.0, hard=False),
        Budget("elsewhere", "c", 1.0),
        Budget("three", "accuracy", 0.9, at_least=True),
    ]
    excess, deviation = foreseen.excess(budgets)
    assert np.allclose(excess, [[0.25, 0.0, 0.1 / 0.9]])
    assert np.allclose(deviation, [[0.125, 0.5, 0.5 / 0.9]])


def test_without_hard_budgets_nothing_is_exceeded():
    foreseen = Forecast(("a",), np.zeros((3, 1)), np.ones((3, 1)), (MetricScale(),))
    excess, deviation = foreseen.excess(())
    assert excess.shape == deviation.shape == (3, 0)
