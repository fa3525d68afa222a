"""What a measurement records about the machine."""

from __future__ import annotations

import json

from automl.targets.fingerprint import available_cores
from automl.targets.fingerprint import fingerprint


def test_fingerprint_is_json_and_changes_with_every_setting() -> None:
    base = fingerprint(runtime="openvino 1", threads=1, isa=None)
    assert json.loads(json.dumps(base)) == base
    assert base["cpu"]
    assert base["isa"] == "native"
    for changed in (
        fingerprint(runtime="openvino 2", threads=1, isa=None),
        fingerprint(runtime="openvino 1", threads=2, isa=None),
        fingerprint(runtime="openvino 1", threads=1, isa="avx2"),
    ):
        assert changed != base


def test_there_is_at_least_one_core() -> None:
    assert available_cores() >= 1
