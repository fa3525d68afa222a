from __future__ import annotations

from automl.core.candidate import Candidate
from automl.core.measurement import Measurement
from automl.core.measurement import Metric
from automl.core.trial import Trial
from automl.core.trial import TrialState
from automl.stages.sittings import at_speed
from automl.stages.sittings import drift_notes
from automl.stages.sittings import speed_change


def measured(ms: float) -> Measurement:
    return Measurement({"latency_ms": Metric(ms, "ms")})


def trial0(measurement: Measurement) -> list[Trial]:
    return [Trial(0, Candidate.of({"d": 0}), TrialState.COMPLETE, measurement=measurement)]


def test_a_machine_that_changed_its_speed_before_confirmation_is_named():
    assert drift_notes(trial0(measured(3.0)), measured(3.3)) == []
    (note,) = drift_notes(trial0(measured(3.0)), measured(6.0))
    assert "3 ms in the search and 6 ms in confirmation" in note


def test_milliseconds_of_the_search_become_those_of_the_confirmation():
    change = speed_change(trial0(measured(3.0)), measured(6.0))
    before = {
        "latency_ms": Metric(1.5, "ms", 1.4, 1.7, 30),
        "predicted_latency_ms": Metric(1.6, "ms"),
        "size_bytes": Metric(10, "B"),
    }
    after = at_speed(before, change)
    assert after["latency_ms"] == Metric(3.0, "ms", 2.8, 3.4, 30)
    assert after["predicted_latency_ms"].value == 3.2
    assert after["size_bytes"] is before["size_bytes"]
    # The ratio to the untouched model is what both sittings agree on.
    assert after["latency_ms"].value / 6.0 == before["latency_ms"].value / 3.0


def test_nothing_changes_where_nothing_was_timed():
    untimed = Measurement({"estimated_latency_ms": Metric(2.0, "ms")})
    assert speed_change(trial0(untimed), untimed) == 1.0
    assert speed_change([], measured(2.0)) == 1.0
    assert drift_notes(trial0(untimed), untimed) == []
    assert at_speed(untimed, 1.0) == dict(untimed)
