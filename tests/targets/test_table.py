"""Parsing of target names."""

from __future__ import annotations

import importlib

import pytest

from automl.core.errors import ConfigError
from automl.core.errors import TargetError
from automl.targets.base import Target
from automl.targets.table import TARGETS
from automl.targets.table import doctor
from automl.targets.table import make_target
from automl.targets.table import parse_target


def test_every_row_names_a_class() -> None:
    for row in TARGETS.values():
        module, _, attribute = row.path.partition(":")
        assert isinstance(getattr(importlib.import_module(module), attribute), type)


def test_options_are_parsed() -> None:
    assert parse_target("openvino") == ("openvino", {})
    assert parse_target("openvino:isa=avx512_core") == ("openvino", {"isa": "avx512_core"})


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("openvno", "did you mean 'openvino'"),
        ("openvino:iso=avx2", "did you mean 'isa'"),
        ("openvino:isa=", "has no value"),
        ("openvino:isa=avx512core", "did you mean 'avx512_core'"),
        ("onnxruntime:isa=avx2", "takes no options"),
    ],
)
def test_unknown_words_are_named_with_the_nearest_valid_one(spec: str, text: str) -> None:
    with pytest.raises(TargetError, match=text):
        make_target(spec)


def test_threads_and_batch_must_be_positive() -> None:
    with pytest.raises(ConfigError, match="threads are 0"):
        make_target("openvino", threads=0)
    with pytest.raises(ConfigError, match="batch is 0"):
        make_target("openvino", batch=0)


def test_targets_fulfil_the_protocol() -> None:
    assert isinstance(make_target("openvino"), Target)
    assert isinstance(make_target("onnxruntime"), Target)


def test_doctor_reports_every_target_with_its_runtime() -> None:
    reports = {r.name: r for r in doctor()}
    assert set(reports) == set(TARGETS)
    for name, report in reports.items():
        assert report.available
        assert report.reason.startswith(name)
        assert "f32" in report.float_types
