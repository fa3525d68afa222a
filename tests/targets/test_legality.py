"""Which options are struck out, and which sites are tied."""

from __future__ import annotations

from automl.searchspaces.graph import GraphNode
from automl.searchspaces.graph import ModelGraph
from automl.searchspaces.graph import Site
from automl.targets.legality import cpu_legality
from automl.targets.legality import shared_input_groups


def _linear(name: str, n_in: int) -> Site:
    return Site(name, "linear", f"{name}_node", (32, n_in), 1, True, 32 * n_in, 1)


def _graph() -> ModelGraph:
    sites = (
        Site("words", "embedding", "words_node", (100, 96), 1, False, 0, 4),
        Site("conv", "conv", "conv_node", (8, 3, 3, 3), 1, True, 1, 1),
        _linear("q", 128),
        _linear("k", 128),
        _linear("out", 96),
    )
    nodes = (
        GraphNode("x", "input", (), (1, 3)),
        GraphNode("words_node", "embedding", ("x",), (1, 3, 96), "words"),
        GraphNode("conv_node", "conv", ("x",), (1, 8), "conv"),
        GraphNode("q_node", "linear", ("conv_node",), (1, 32), "q"),
        GraphNode("k_node", "linear", ("conv_node",), (1, 32), "k"),
        GraphNode("out_node", "linear", ("q_node",), (1, 32), "out"),
    )
    return ModelGraph(nodes, sites, ((1, 3),))


def test_layers_that_read_the_same_value_are_tied() -> None:
    assert shared_input_groups(_graph()) == (("q", "k"),)


def test_options_are_ordered_and_struck_options_have_reasons() -> None:
    legality = cpu_legality(_graph(), ("bf16", "f32"))
    assert legality.options["conv"] == ("fp", "w8a8", "w6a8", "w4a8", "w3a8", "w2a8")
    assert legality.options["q"][:3] == ("fp", "w8", "w8a8")
    assert {"w4g64", "w4g128"} <= set(legality.options["q"])
    assert not {"w4g64", "w4g128"} & set(legality.options["out"])
    assert legality.options["words"] == ("fp",)
    reasons = {(s, o): r for s, o, r in legality.struck}
    assert "96 input features" in reasons["out", "w4g64"]
    assert "convolutions" in reasons["conv", "w8"]
    assert set(reasons) == {
        (s, o)
        for s in legality.options
        for o in ("fp", "w8", "w8a8", "w6a8", "w4g64", "w4g128", "w4a8", "w3a8", "w2a8")
        if o not in legality.options[s]
    }
    assert legality.float_types == ("bf16", "f32")
