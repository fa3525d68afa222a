from __future__ import annotations

import json

import pytest
import torch

from automl.core.errors import TargetError
from automl.targets.cpu_device import best_seconds
from automl.targets.cpu_device import device_from_json
from automl.targets.cpu_device import device_key
from automl.targets.cpu_device import device_to_json
from automl.targets.cpu_device import measure_cpu


@pytest.fixture(scope="module")
def measured():
    return measure_cpu(1, side=64, stream=256, seconds=0.01)


def test_this_processor_is_measured(measured):
    assert measured.measured
    assert measured.name == "cpu"
    assert {"f32"} <= set(measured.peaks)
    assert all(peak >= measured.peaks["f32"] for peak in measured.peaks.values())
    assert measured.launch_s > 0


def test_measuring_leaves_the_threads_of_torch_as_they_were():
    before = torch.get_num_threads()
    measure_cpu(before + 1, side=16, stream=16, seconds=0.0)
    assert torch.get_num_threads() == before


def test_a_stored_device_reads_back_equal(measured):
    assert device_from_json(json.loads(json.dumps(device_to_json(measured)))) == measured


def test_a_damaged_device_is_refused(measured):
    with pytest.raises(TargetError, match="cannot be read"):
        device_from_json({"name": "cpu"})
    with pytest.raises(TargetError, match="must be positive"):
        device_from_json({**device_to_json(measured), "bandwidth": 0.0})


def test_the_key_tells_threads_apart():
    assert device_key(1) != device_key(2)


def test_the_best_run_of_any_round_counts_and_the_first_of_each_does_not():
    # Each turn asks for the end once and twice a run: runs of 3 and 1 seconds, then one of 5.
    times = iter([0.0, 0.0, 3.0, 10.0, 11.0, 20.0, 20.0, 25.0])
    runs = []
    found = best_seconds({"x": lambda: runs.append(1)}, rounds=2, seconds=4.0, clock=lambda: next(times))
    assert found == {"x": 1.0}
    assert len(runs) == 5


def test_a_round_that_was_disturbed_spoils_no_figure():
    times = iter([0.0, 0.0, 9.0, 9.0, 9.0, 18.0, 30.0, 30.0, 31.0, 31.0, 31.0, 32.0])
    found = best_seconds(
        {"a": lambda: None, "b": lambda: None}, rounds=2, seconds=1.0, clock=lambda: next(times)
    )
    assert found == {"a": 1.0, "b": 1.0}
