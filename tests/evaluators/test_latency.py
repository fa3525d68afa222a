from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from automl.core.errors import EvaluationError
from automl.evaluators.latency import LatencyMeter
from automl.targets.base import NodeProfile
from automl.targets.base import Timing

INPUTS = [np.zeros((1, 3), dtype=np.float32)]
FILE, REFERENCE = Path("candidate.onnx"), Path("reference.onnx")


class DriftingTarget:
    """A target whose speed changes from call to call; only what the meter uses."""

    def __init__(self, slowdowns, *, candidate_ms=2.0, reference_ms=4.0, profile=True):
        self.slowdowns = list(slowdowns)
        self.candidate_ms = candidate_ms
        self.reference_ms = reference_ms
        self.calls = 0
        self.has_profile = profile

    def time(self, models, inputs, *, repeats):
        factor = self.slowdowns[min(self.calls, len(self.slowdowns) - 1)]
        self.calls += 1
        base = [self.reference_ms if path == REFERENCE else self.candidate_ms for path, _ in models]
        return [
            Timing(b * factor, 0.98 * b * factor, 1.03 * b * factor, 1.2 * b * factor, repeats) for b in base
        ]

    def profile(self, model, inputs, *, float_type, repeats):
        return [NodeProfile("conv", "Convolution", "f32", 1.9, ("conv",))] if self.has_profile else []


def test_drift_of_the_machine_is_divided_out():
    meter = LatencyMeter(DriftingTarget([1.0, 1.1, 1.3, 0.9]), (REFERENCE, "f32"), INPUTS, reference_ms=4.0)
    measured = meter.measure(FILE, "bf16")
    assert measured["latency_ms"].value == pytest.approx(2.0)
    assert measured["latency_ms"].low == pytest.approx(1.96)
    assert measured["latency_ms"].high == pytest.approx(2.06)
    assert measured["latency_p95_ms"].value == pytest.approx(2.4)


def test_drift_is_recorded():
    meter = LatencyMeter(DriftingTarget([1.5]), (REFERENCE, "f32"), INPUTS, reference_ms=4.0)
    facts = meter.measure(FILE, "f32").facts
    assert facts["latency_drift"] == pytest.approx(1.5)
    assert facts["latency_raw_ms"] == pytest.approx(3.0)
    assert facts["latency_reference_ms"] == pytest.approx(6.0)


def test_a_device_with_a_clock_of_its_own_leaves_how_it_was_read():
    target = DriftingTarget([1.0])
    plain = target.time

    def time(models, inputs, *, repeats):
        return [replace(t, how="a captured graph") for t in plain(models, inputs, repeats=repeats)]

    meter = LatencyMeter(target, (REFERENCE, "f32"), INPUTS)
    assert "latency_timed" not in meter.measure(FILE, "f32").facts
    target.time = time
    assert meter.measure(FILE, "f32").facts["latency_timed"] == "a captured graph"


def test_disturbed_rounds_are_repeated_and_do_not_count():
    target = DriftingTarget([1.0, 3.0, 1.0, 1.0, 1.0])
    meter = LatencyMeter(target, (REFERENCE, "f32"), INPUTS)
    assert meter.measure(FILE, "f32").facts["latency_reference_ms"] == pytest.approx(4.0)
    assert target.calls == 5


def test_a_machine_that_never_calms_down_still_ends():
    target = DriftingTarget([1.0, *[2.0] * 50])
    LatencyMeter(target, (REFERENCE, "f32"), INPUTS).measure(FILE, "f32")
    assert target.calls == 8


def test_first_measurement_sets_the_nominal_reference():
    meter = LatencyMeter(DriftingTarget([1.0, 1.0, 1.0, 1.0, 2.0]), (REFERENCE, "f32"), INPUTS)
    assert meter.reference_ms is None
    first = meter.measure(FILE, "f32")
    second = meter.measure(FILE, "f32")
    assert meter.reference_ms == pytest.approx(4.0)
    assert second["latency_ms"].value == pytest.approx(first["latency_ms"].value)


def test_repeats_are_spread_over_the_rounds():
    meter = LatencyMeter(DriftingTarget([1.0]), (REFERENCE, "f32"), INPUTS)
    assert meter.measure(FILE, "f32", repeats=40)["latency_ms"].n == 40


def test_observation_carries_time_and_profile():
    meter = LatencyMeter(DriftingTarget([1.0]), (REFERENCE, "f32"), INPUTS)
    seen = meter.observe(FILE, "bf16", {"conv": "w8a8"})
    assert seen.timing_ms == pytest.approx(2.0)
    assert seen.float_type == "bf16"
    assert seen.profile[0].name == "conv"


def test_target_without_profiles_is_named():
    meter = LatencyMeter(DriftingTarget([1.0], profile=False), (REFERENCE, "f32"), INPUTS)
    with pytest.raises(EvaluationError, match="reports no executed nodes"):
        meter.observe(FILE, "f32", {})


def test_time_of_zero_is_an_error():
    meter = LatencyMeter(DriftingTarget([1.0], candidate_ms=0.0), (REFERENCE, "f32"), INPUTS)
    with pytest.raises(EvaluationError, match="must be positive"):
        meter.measure(FILE, "f32")


@pytest.mark.parametrize("value", [0.0, -2.0, float("nan")])
def test_nominal_reference_must_be_positive(value):
    with pytest.raises(EvaluationError, match="nominal latency"):
        LatencyMeter(DriftingTarget([1.0]), (REFERENCE, "f32"), INPUTS, reference_ms=value)
