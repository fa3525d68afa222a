"""What a measurement records about the machine."""

from __future__ import annotations

import json

from automl.targets.fingerprint import available_cores
from automl.targets.fingerprint import machine_fingerprint
from automl.targets.fingerprint import saturates


def test_fingerprint_is_json_and_changes_with_every_setting() -> None:
    base = machine_fingerprint(runtime="openvino 1", threads=1, isa=None)
    assert json.loads(json.dumps(base)) == base
    assert base["cpu"]
    assert base["isa"] == "native"
    for changed in (
        machine_fingerprint(runtime="openvino 2", threads=1, isa=None),
        machine_fingerprint(runtime="openvino 1", threads=2, isa=None),
        machine_fingerprint(runtime="openvino 1", threads=1, isa="avx2"),
    ):
        assert changed != base


def test_there_is_at_least_one_core() -> None:
    assert available_cores() >= 1


def test_int8_saturates_without_vnni() -> None:
    assert saturates(["avx2", "avx512f"], None)
    assert not saturates(["avx2", "avx512f", "avx512_vnni"], None)
    assert not saturates(["avx2", "avx_vnni"], None)
    assert not saturates(["asimd", "asimddp"], None)
    assert saturates(["avx2", "avx512_vnni"], "avx512_core")
    assert not saturates(["avx2", "avx512_vnni"], "avx512_core_vnni")
