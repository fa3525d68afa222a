from __future__ import annotations

import pytest

from automl.core.errors import ConfigError
from automl.execution.resources import WorkerResources
from automl.execution.resources import parse_resources


def test_nothing_asks_for_one_processor():
    assert parse_resources(None) == parse_resources("") == WorkerResources(1.0, 0.0, None, {})


def test_every_kind_is_read():
    found = parse_resources("cpu=2, GPU=0.5,memory=1.5GB, fast=1,node.ssd=2")
    assert found == WorkerResources(2.0, 0.5, 1_500_000_000, {"fast": 1.0, "node.ssd": 2.0})
    assert parse_resources("memory=1GiB").memory_bytes == 2**30


def test_a_worker_may_need_no_processor():
    assert parse_resources("CPU=0,slot=1").cpus == 0.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("CPU", "cannot read the resource 'CPU'"),
        ("CPU=two", "cannot read the resource 'CPU=two'"),
        ("CPU=-1", "cannot read"),
        ("CPU=2GB", "unknown unit 'GB'"),
        ("memory=4XB", "unknown unit 'XB'"),
        ("CPU=1,cpu=2", "the resource 'CPU' of a worker is given twice"),
        ("fast=0", "the resource 'fast' of a worker is zero"),
    ],
)
def test_what_cannot_be_read_is_named(text, said):
    with pytest.raises(ConfigError, match=f"{said}.*such as CPU=2,memory=4GB"):
        parse_resources(text)
