from __future__ import annotations

import json
import math

import numpy as np
import pytest

from automl.core.errors import EvaluationError
from automl.core.measurement import METRIC_UNITS
from automl.core.measurement import Measurement
from automl.core.measurement import Metric
from automl.core.measurement import is_maximized


def test_an_exact_number_is_its_own_interval():
    metric = Metric(3, "B")
    assert (metric.value, metric.low, metric.high, metric.n) == (3.0, 3.0, 3.0, 1)


def test_numpy_numbers_become_floats():
    assert type(Metric(np.float32(0.5), low=np.float32(0.25), high=np.float64(1)).low) is float


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_refused(value):
    with pytest.raises(EvaluationError, match="finite"):
        Metric(value)


@pytest.mark.parametrize(("low", "high"), [(1.5, 2.0), (0.0, 0.5), (0.0, math.inf)])
def test_an_interval_must_hold_the_value_and_be_finite(low, high):
    with pytest.raises(EvaluationError):
        Metric(1.0, low=low, high=high)


def test_json_round_trip_through_text():
    measurement = Measurement(
        {"latency_ms": Metric(5.0, "ms", 4.5, 5.5, 20), "size_bytes": Metric(7, "B")}, {"runtime": "x"}
    )
    again = Measurement.from_json(json.loads(json.dumps(measurement.to_json())))
    assert again == measurement
    assert hash(again) == hash(measurement)
    assert again["latency_ms"].n == 20


def test_is_a_mapping():
    measurement = Measurement({"kl": Metric(0.1), "macs": Metric(5)})
    assert list(measurement) == ["kl", "macs"]
    assert len(measurement) == 2
    assert "kl" in measurement
    assert "drop" not in measurement


def test_merging_lets_the_other_win():
    one = Measurement({"kl": Metric(1), "macs": Metric(2)}, {"a": 1, "b": 1})
    two = Measurement({"kl": Metric(3)}, {"b": 2})
    both = one.merged(two)
    assert {k: m.value for k, m in both.items()} == {"kl": 3.0, "macs": 2.0}
    assert both.facts == {"a": 1, "b": 2}
    assert one["kl"].value == 1.0


def test_only_qualities_are_maximized():
    assert {m for m in METRIC_UNITS if is_maximized(m)} == {"accuracy", "agreement", "cosine", "psnr_db"}
