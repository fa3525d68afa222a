from __future__ import annotations

import numpy as np
import pytest

from automl.core.errors import EvaluationError
from automl.core.errors import SpaceError
from automl.evaluators.latency_features import Attributor
from automl.evaluators.latency_features import FeatureMap
from automl.evaluators.latency_features import SiteCodes
from automl.evaluators.latency_features import latency_class
from automl.evaluators.latency_features import neighborhoods
from automl.targets.base import NodeProfile
from tests.evaluators.latency_world import make_graph
from tests.evaluators.latency_world import make_space


@pytest.mark.parametrize(
    ("option", "expected"),
    [("fp", "fp"), ("w8a8", "w8a8"), ("w3a8", "w8a8"), ("w8", "w8"), ("w4g64", "w4g64")],
)
def test_options_with_the_same_kernels_share_a_class(option, expected):
    assert latency_class(option) == expected


def test_unknown_option_has_no_class():
    with pytest.raises(SpaceError, match="w9a9"):
        latency_class("w9a9")


def node(name, *origins):
    return NodeProfile(name, "Any", "f32", 1.0, origins)


@pytest.mark.parametrize(
    ("executed", "unit"),
    [
        (node("c0a", "c0a", "relu"), "c0a"),
        (node("whatever", "add_0", "c0b"), "c0b"),
        (node("Multiply_77", "add_1", "Multiply_77"), "add_1"),
        (node("c1a/WithoutBiases", "c1a/WithoutBiases"), "c1a"),
        (node("c0a_f32_u8_c0b"), "c0b"),
        (node("c0a_f32_u8_c0b/WithoutBiases"), "c0b"),
        (node("Multiply_9"), None),
    ],
)
def test_executed_node_belongs_to(executed, unit):
    assert Attributor(make_graph()).owner(executed) == unit


def test_unknown_nodes_go_to_the_next_known_one_and_no_time_is_lost():
    profile = [node("Multiply_9"), node("c0a", "c0a"), node("c0b", "c0b"), node("Multiply_10")]
    assert Attributor(make_graph()).times(profile) == {"c0a": 2.0, "c0b": 2.0}


def test_neighborhood_of_a_residual_site():
    graph = make_graph()
    position = {s.name: i for i, s in enumerate(graph.sites)}
    (unit,) = neighborhoods(graph, ["c1a"])
    assert unit.own == position["block1.a"]
    assert unit.singles[0] == position["block0.b"]
    assert unit.singles[3] == position["block1.b"]
    assert unit.kind == "conv3x3"


def test_neighborhood_of_an_addition_groups_what_it_joins():
    graph = make_graph()
    position = {s.name: i for i, s in enumerate(graph.sites)}
    (unit,) = neighborhoods(graph, ["add_0"])
    assert unit.own == position["block0.b"]
    assert {position["stem"], position["block0.b"]} <= set(unit.groups[2])


def test_group_column_is_one_only_when_all_are_quantized():
    graph = make_graph()
    features = FeatureMap(len(graph.sites), neighborhoods(graph, ["add_0", "c1a"]))
    everything = np.ones((1, len(graph.sites)), dtype=bool)
    assert features.matrix(everything).all()
    for index, group in enumerate(features.groups):
        broken = everything.copy()
        broken[0, group[0]] = False
        assert features.matrix(broken)[0, len(graph.sites) + index] == 0.0


def test_codes_of_a_space_equal_codes_of_options():
    graph = make_graph()
    space = make_space(graph)
    sites = [s.name for s in graph.sites]
    codes = space.sample(np.random.Generator(np.random.PCG64(0)), 20)
    made = SiteCodes.of_space(sites, ("fp", "w8a8"), ("bf16", "f32"), space, codes, "f32")
    options = [space.decode(c).as_dict for c in codes]
    named = SiteCodes.of(
        sites,
        ("fp", "w8a8"),
        ("bf16", "f32"),
        [{s: str(o[f"precision:{s}"]) for s in sites} for o in options],
        [str(o["float:model"]) for o in options],
    )
    assert np.array_equal(made.classes, named.classes)
    assert np.array_equal(made.quantized, named.quantized)
    assert np.array_equal(made.floats, named.floats)


def test_class_that_was_never_measured_is_refused():
    with pytest.raises(EvaluationError, match="never measured an option of the class w4g64"):
        SiteCodes.of(["a"], ("fp", "w8a8"), ("f32",), [{"a": "w4g64"}], ["f32"])


def test_float_type_that_was_never_measured_is_refused():
    with pytest.raises(EvaluationError, match="float type bf16"):
        SiteCodes.of(["a"], ("fp",), ("f32",), [{}], ["bf16"])
