from __future__ import annotations

import pytest

from automl.config import make_config
from automl.stages import device as stage
from automl.stages import prefilter
from automl.stages.prefilter import STRUCK_FILE
from automl.stages.prefilter import without_hopeless
from automl.targets.base import Legality
from automl.targets.devices import Device
from tests.evaluators.test_roofline import layer

CPU = Device("cpu", "", {"f32": 1e11}, 1e13, 1e10, measured=True)
LEGAL = Legality({"fc": ("fp", "w8", "w8a8")}, (), (("fc", "w4g64", "no kernel"),), ("f32",))


@pytest.fixture
def measured(monkeypatch):
    calls = []
    monkeypatch.setattr(stage, "measure_cpu", lambda threads: calls.append(threads) or CPU)
    return calls


def filtered(tmp_path, rows=4096, **settings):
    config = make_config({"model": "m", **settings})
    return without_hopeless(config, layer(rows), LEGAL, tmp_path / "run", tmp_path / "cache")


def test_what_cannot_be_faster_is_struck_with_the_reason(tmp_path, measured):
    found = filtered(tmp_path)
    assert found.options == {"fc": ("fp", "w8a8")}
    assert found.struck[0] == LEGAL.struck[0]
    assert found.struck[1][:2] == ("fc", "w8")
    assert "roofline of cpu" in found.struck[1][2]


def test_a_layer_that_waits_for_memory_keeps_everything(tmp_path, measured):
    assert filtered(tmp_path, rows=1) == LEGAL


@pytest.mark.parametrize(
    "settings",
    [{"budget": "size=0.5x"}, {"budget": "bits=6"}, {"budget": "memory=0.9x"}, {"options": ("w8",)}],
)
def test_bytes_that_are_wanted_are_kept_and_nothing_is_measured(tmp_path, measured, settings):
    assert filtered(tmp_path, **settings) == LEGAL
    assert measured == []


def test_a_resumed_run_searches_the_space_it_began_with(tmp_path, measured, monkeypatch):
    first = filtered(tmp_path)
    fast = Device("cpu", "", {"f32": 1e15}, 1e15, 1e10, measured=True)
    monkeypatch.setattr(prefilter, "device_named", lambda *given: fast)
    assert filtered(tmp_path) == first
    assert filtered(tmp_path, seed=5) == LEGAL


def test_a_decision_of_another_configuration_or_a_torn_one_is_taken_again(tmp_path, measured):
    assert filtered(tmp_path).options == {"fc": ("fp", "w8a8")}
    assert filtered(tmp_path, rows=1) == LEGAL
    (tmp_path / "run" / STRUCK_FILE).write_text('{"key": ')
    assert filtered(tmp_path).options == {"fc": ("fp", "w8a8")}


def test_an_estimate_is_filtered_by_its_own_device(tmp_path, measured):
    found = filtered(tmp_path, rows=200_000, estimate="h100")
    assert "roofline of h100" in found.struck[1][2]
    assert measured == []
