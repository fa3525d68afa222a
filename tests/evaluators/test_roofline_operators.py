from __future__ import annotations

import pytest
import torch

from automl.core.errors import EvaluationError
from automl.evaluators.roofline_operators import operators_of
from tests.evaluators.hook_counter import counted_layers
from tests.evaluators.hook_counter import counted_products
from tests.evaluators.traced_nets import HEADS
from tests.evaluators.traced_nets import HIDDEN
from tests.evaluators.traced_nets import KV_HEADS
from tests.evaluators.traced_nets import LENGTH
from tests.evaluators.traced_nets import VOCABULARY
from tests.evaluators.traced_nets import WIDE
from tests.evaluators.traced_nets import convolutions
from tests.evaluators.traced_nets import decoder
from tests.evaluators.traced_nets import encoder


def _tokens(batch):
    return (torch.zeros(batch, LENGTH, dtype=torch.long),)


NETS = {
    "convolutions": (convolutions, lambda batch: (torch.zeros(batch, 3, 16, 16),)),
    "encoder": (encoder, _tokens),
    "fused encoder": (lambda: encoder(fused=True), _tokens),
    "decoder": (decoder, _tokens),
}


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("net", NETS)
def test_layers_are_counted_as_hooks_count_them(net, batch):
    make, inputs = NETS[net]
    module, graph = make()
    ours: dict[str, float] = {}
    for operator in operators_of(graph, batch=batch):
        if operator.site is not None and operator.kind != "embedding":
            ours[operator.site] = ours.get(operator.site, 0.0) + operator.macs
    assert ours == counted_layers(module, inputs(batch))


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("net", NETS)
def test_all_products_are_counted_as_torch_dispatches_them(net, batch):
    make, inputs = NETS[net]
    module, graph = make()
    assert sum(o.macs for o in operators_of(graph, batch=batch)) == counted_products(module, inputs(batch))


def test_every_executed_node_belongs_to_one_operator():
    graph = decoder()[1]
    nodes = [n for o in operators_of(graph) for n in o.nodes]
    assert len(nodes) == len(set(nodes))
    sites = {n.name for n in graph.nodes if n.site is not None}
    assert sites <= set(nodes)


def test_an_activation_is_fused_into_the_layer_before_it():
    names = {o.name: o for o in operators_of(encoder()[1])}
    gelu = next(o for o in names.values() if any(n.startswith("gelu") for n in o.nodes))
    assert gelu.site == "up"
    assert gelu.ops > 0
    assert gelu.writes == LENGTH * WIDE


def test_the_gated_activation_runs_over_the_intermediate_width():
    rows = [o for o in operators_of(decoder()[1]) if any("silu" in n for n in o.nodes)]
    assert len(rows) == 2
    assert all(o.writes == LENGTH * WIDE for o in rows)


def test_the_head_of_a_language_model_is_a_full_product():
    rows = [o for o in operators_of(decoder()[1], batch=4) if o.writes == 4 * LENGTH * VOCABULARY]
    assert [o.macs for o in rows if o.site is not None] == [4 * LENGTH * HIDDEN * VOCABULARY]
    assert [o.reads for o in rows if o.site is not None] == [4 * LENGTH * HIDDEN]


def test_weights_do_not_grow_with_the_batch():
    def weights(batch):
        return [o.weights for o in operators_of(convolutions()[1], batch=batch)]

    assert weights(1) == weights(9)


def test_decoding_one_token_costs_a_token_of_every_layer():
    graph = decoder()[1]
    whole, one = operators_of(graph, batch=2), operators_of(graph, batch=2, decode=True, context=40)
    layers = [(a, b) for a, b in zip(whole, one, strict=True) if a.site is not None and a.kind == "linear"]
    assert all(a.macs == pytest.approx(LENGTH * b.macs) and a.weights == b.weights for a, b in layers)


def test_decoding_asks_the_whole_context():
    rows = [o for o in operators_of(decoder()[1], batch=2, decode=True, context=40) if o.attention]
    assert [o.macs for o in rows] == [2.0 * 2 * HEADS * 1 * 40 * (HIDDEN // HEADS)] * 2
    assert all(o.attention.kv_heads == KV_HEADS for o in rows)


def test_decoding_the_traced_context_adds_up_to_the_prefill_of_a_causal_model_per_token():
    graph = decoder()[1]
    whole = sum(o.macs for o in operators_of(graph))
    one = sum(o.macs for o in operators_of(graph, decode=True))
    assert whole == pytest.approx(LENGTH * one)


def test_an_image_model_does_not_decode():
    with pytest.raises(EvaluationError, match="no token axis"):
        operators_of(convolutions()[1], decode=True)


@pytest.mark.parametrize(("batch", "context"), [(0, None), (1, 0)])
def test_nothing_to_count_is_refused(batch, context):
    with pytest.raises(EvaluationError, match="must be at least 1"):
        operators_of(decoder()[1], batch=batch, context=context)
