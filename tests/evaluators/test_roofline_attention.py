from __future__ import annotations

import pytest

from automl.evaluators.roofline_attention import find_attentions
from automl.evaluators.roofline_attention import source_elements
from automl.searchspaces.graph import GraphNode
from automl.searchspaces.graph import ModelGraph
from tests.evaluators.traced_nets import HEADS
from tests.evaluators.traced_nets import HIDDEN
from tests.evaluators.traced_nets import KV_HEADS
from tests.evaluators.traced_nets import LENGTH
from tests.evaluators.traced_nets import convolutions
from tests.evaluators.traced_nets import decoder
from tests.evaluators.traced_nets import encoder


@pytest.mark.parametrize("fused", [False, True])
def test_attention_is_found_written_out_and_whole(fused):
    (found,) = find_attentions(encoder(fused)[1])
    shape = (found.sequences, found.heads, found.kv_heads, found.new, found.context, found.head)
    assert shape == (1, HEADS, HEADS, LENGTH, LENGTH, HIDDEN // HEADS)


def test_grouped_attention_stores_the_heads_of_keys_and_values():
    found = find_attentions(decoder()[1])
    assert len(found) == 2
    assert all((a.heads, a.kv_heads) == (HEADS, KV_HEADS) for a in found)
    assert all(a.scores == HEADS * LENGTH * LENGTH for a in found)


def test_a_model_without_attention_has_none():
    assert find_attentions(convolutions()[1]) == ()


def test_the_softmax_of_a_classifier_is_no_attention():
    nodes = (
        GraphNode("x", "input", (), (1, 8)),
        GraphNode("p", "softmax", ("x",), (1, 8)),
        GraphNode("output", "output", ("p",), ()),
    )
    assert find_attentions(ModelGraph(nodes, (), ((1, 8),))) == ()


def test_a_repeated_value_is_stored_once():
    nodes = (
        GraphNode("x", "input", (), (1, 2, 5)),
        GraphNode("y", "reshape", ("x",), (1, 2, 1, 5)),
        GraphNode("z", "expand", ("y",), (1, 2, 4, 5)),
        GraphNode("w", "clone", ("z",), (1, 2, 4, 5)),
    )
    assert source_elements(ModelGraph(nodes, (), ((1, 2, 5),)), "w") == 10
