from dataclasses import replace

import pytest

from automl.core.errors import ModelError
from automl.searchspaces.graph import GraphNode
from automl.searchspaces.graph import ModelGraph
from automl.searchspaces.graph import Site


def diamond() -> ModelGraph:
    nodes = (
        GraphNode("x", "input", (), (1, 4)),
        GraphNode("p", "linear", ("x",), (1, 4), "a"),
        GraphNode("q", "linear", ("p",), (1, 4), "b"),
        GraphNode("s", "add", ("q", "p"), (1, 4)),
        GraphNode("t", "linear", ("s",), (1, 2), "c"),
    )
    sites = tuple(
        Site(n, "linear", v, (o, 4), 1, True, 4 * o, 1)
        for n, v, o in (("a", "p", 4), ("b", "q", 4), ("c", "t", 2))
    )
    return ModelGraph(nodes, sites, ((1, 4),))


def test_site_edges_look_through_other_operations():
    assert set(diamond().site_edges) == {("a", "b"), ("a", "c"), ("b", "c")}


def test_consumers_are_in_execution_order():
    assert diamond().consumers["p"] == ("q", "s")
    assert diamond().consumers["t"] == ()


def test_an_unknown_site_is_named():
    with pytest.raises(ModelError, match="unknown site 'aa'"):
        diamond().site("aa")


def test_macs_add_up_and_the_fingerprint_follows_shapes():
    graph = diamond()
    assert graph.macs == 40
    assert graph.fingerprint == diamond().fingerprint
    changed = replace(graph, nodes=(replace(graph.nodes[0], shape=(2, 4)), *graph.nodes[1:]))
    assert changed.fingerprint != graph.fingerprint


def test_only_convolutions_with_one_channel_a_group_are_depthwise():
    site = Site("a", "conv", "n", (8, 1, 3, 3), 8, False, 1, 1)
    assert site.depthwise
    assert site.n_weights == 72
    assert not replace(site, groups=4, weight_shape=(8, 2, 3, 3)).depthwise
    assert not replace(site, op="linear").depthwise
