from __future__ import annotations

from dataclasses import replace

import pytest

from automl.core.errors import TargetError
from automl.evaluators.cache import ContentCache
from automl.stages import device as stage
from automl.stages.device import device_named
from automl.stages.device import this_cpu
from automl.targets.cpu_device import device_key
from automl.targets.cpu_device import device_to_json
from automl.targets.devices import Device

CPU = Device("cpu", "a processor", {"f32": 1e10}, 1e9, 1e9, 1e-6, fused_attention=False, measured=True)


@pytest.fixture
def measured(monkeypatch):
    calls = []
    monkeypatch.setattr(stage, "measure_cpu", lambda threads: calls.append(threads) or CPU)
    return calls


def test_this_machine_is_measured_once(tmp_path, measured):
    assert this_cpu(tmp_path, 1) == this_cpu(tmp_path, 1) == CPU
    assert measured == [1]


def test_other_threads_are_measured_again(tmp_path, measured):
    this_cpu(tmp_path, 1)
    this_cpu(tmp_path, 2)
    assert measured == [1, 2]


def test_a_stored_figure_without_sense_is_measured_again(tmp_path, measured):
    ContentCache(tmp_path).put(device_key(1), {**device_to_json(CPU), "bandwidth": -1.0})
    assert this_cpu(tmp_path, 1) == CPU
    assert measured == [1]


def test_the_table_needs_no_measurement(tmp_path, measured):
    assert device_named("h100", tmp_path, None).name == "h100"
    assert measured == []
    assert device_named("cpu", tmp_path, None) == replace(CPU)


def test_an_unknown_device_is_refused(tmp_path):
    with pytest.raises(TargetError, match="did you mean 'h100'"):
        device_named("h10", tmp_path, None)
