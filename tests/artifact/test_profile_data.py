from __future__ import annotations

import json
from dataclasses import replace

import pytest

from automl.artifact.profile_data import ProfileRow
from automl.core.errors import ConfigError
from tests.artifact.profiles import example_profile


def test_totals_add_up_what_is_known():
    data = example_profile()
    assert data.estimated_ms == pytest.approx(0.261)
    assert data.measured_ms == pytest.approx(0.62)
    assert example_profile(measured=False).measured_ms is None


def test_intensity_is_operations_a_byte():
    assert ProfileRow("a", "linear", True, 5.0, 10.0, 4.0, "memory", 1.0).intensity == 2.5
    assert ProfileRow("a", "view", False, 0.0, 0.0, 0.0, "memory", 1.0).intensity == 0.0


def test_json_holds_rows_totals_and_what_is_estimated():
    body = json.loads(json.dumps(example_profile().to_json(), allow_nan=False))
    assert body["schema"] == 1
    assert [r["name"] for r in body["rows"]] == ["up", "<down>", "scores", "copy"]
    assert body["rows"][0]["intensity"] == 20.0
    assert body["rows"][3]["measured_ms"] is None
    assert body["totals"]["macs"] == pytest.approx(1.11e6)
    assert body["device_measured"] is True


def test_a_profile_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="no operator to profile"):
        replace(example_profile(), rows=())
