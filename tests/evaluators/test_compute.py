from __future__ import annotations

import pytest

from automl.core.errors import SpaceError
from automl.evaluators.compute import bops
from automl.evaluators.compute import macs
from automl.searchspaces.graph import ModelGraph
from automl.searchspaces.graph import Site

GRAPH = ModelGraph(
    (),
    (
        Site("a", "conv", "a", (8, 3, 3, 3), 1, True, 1000, 10),
        Site("b", "linear", "b", (10, 100), 1, True, 500, 1),
    ),
    ((1, 3, 8, 8),),
)


def test_macs_are_the_sum_of_the_sites():
    assert macs(GRAPH) == 1500


@pytest.mark.parametrize(
    ("option", "real", "product"),
    [
        ("fp", "f32", 32 * 32),
        ("fp", "bf16", 16 * 16),
        ("w8a8", "f32", 64),
        ("w8a8", "bf16", 64),
        ("w4a8", "f32", 32),
        ("w8", "f32", 8 * 32),
        ("w4g64", "bf16", 4 * 16),
    ],
)
def test_bit_operations_are_weight_bits_times_activation_bits(option, real, product):
    assert bops(GRAPH, {"a": option, "b": option}, real) == 1500 * product


def test_sites_without_an_entry_are_float():
    assert bops(GRAPH, {"a": "w8a8"}) == 1000 * 64 + 500 * 1024


def test_unknown_names_are_refused():
    with pytest.raises(SpaceError, match="unknown site 'c'"):
        bops(GRAPH, {"c": "fp"})
    with pytest.raises(SpaceError, match="unknown float type 'f16'"):
        bops(GRAPH, {}, "f16")
