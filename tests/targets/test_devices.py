from __future__ import annotations

import math

import pytest

from automl.core.errors import TargetError
from automl.targets.devices import DEVICES
from automl.targets.devices import Device
from automl.targets.devices import device_reported_as
from automl.targets.devices import find_device


def test_the_devices_that_estimates_promise_are_there():
    assert {"h100", "a100", "l40s", "mi300x"} <= set(DEVICES)
    assert all(find_device(name).name == name for name in DEVICES)


@pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES)
def test_narrower_types_are_not_slower(device):
    assert device.peak("f32") <= device.peak("bf16") <= device.peak("int8")
    assert not device.measured


def test_the_ridge_of_an_a100_is_about_200_operations_a_byte():
    a100 = DEVICES["a100"]
    assert a100.peaks["bf16"] / a100.bandwidth == pytest.approx(200, rel=0.01)


def test_a_type_without_units_runs_at_the_peak_of_f32():
    assert DEVICES["a100"].peak("fp8") == DEVICES["a100"].peaks["f32"]


def test_an_unknown_device_is_refused_with_the_nearest():
    with pytest.raises(TargetError, match="unknown device 'h10'; did you mean 'h100'"):
        find_device("h10")


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan, math.inf])
def test_figures_must_be_positive_and_finite(wrong):
    with pytest.raises(TargetError, match="must be positive and finite"):
        Device("x", "x", {"f32": wrong}, 1.0, 1.0)
    with pytest.raises(TargetError, match="bandwidth"):
        Device("x", "x", {"f32": 1.0}, 1.0, wrong)


def test_a_device_states_its_f32():
    with pytest.raises(TargetError, match="no f32 peak"):
        Device("x", "x", {"bf16": 1.0}, 1.0, 1.0)


def test_a_card_is_found_by_the_name_that_torch_has_for_it_and_its_sister_is_not():
    found = device_reported_as("NVIDIA H100 80GB HBM3")
    assert found is not None
    assert found.name == "h100"
    # Cards of less power or more memory bandwidth have another roofline.
    for name in ("NVIDIA H100 PCIe", "NVIDIA A100-SXM4-80GB", "NVIDIA H200", ""):
        assert device_reported_as(name) is None
