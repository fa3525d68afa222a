from __future__ import annotations

import json

import pytest

from automl.core.curve import CurveSeries
from automl.core.curve import LearningCurve
from automl.core.errors import ConfigError

SERIES = CurveSeries("entropy", "entropy of a decision, nats", (1.5, 0.25))


def test_json_and_back_is_the_same_curve():
    curve = LearningCurve("policy", "how to read it", "updates", (0.0, 1.0), (SERIES,))
    assert LearningCurve.from_json(json.loads(json.dumps(curve.to_json()))) == curve


@pytest.mark.parametrize(("steps", "series"), [((0.0,), (SERIES,)), ((0.0, 1.0), ()), ((), (SERIES,))])
def test_a_series_without_a_value_a_step_is_refused(steps, series):
    with pytest.raises(ConfigError, match="a value a step"):
        LearningCurve("policy", "", "updates", steps, series)
