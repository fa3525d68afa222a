from __future__ import annotations

import pytest

from automl.searchspaces.graph import GraphNode
from automl.searchspaces.graph import ModelGraph
from automl.searchspaces.graph import Site
from automl.transforms.plan import QuantizationRules
from automl.transforms.plan_builder import quantizable_values
from automl.transforms.plan_builder import quantized_reads

SHAPE = (1, 4, 8, 8)


def graph():
    """x -> a -> relu -> pool -> b -> add(relu of pool) -> clamp -> mean -> flat -> head."""
    nodes = [
        GraphNode("x", "input", (), SHAPE),
        GraphNode("conv_a", "conv", ("x",), SHAPE, "a"),
        GraphNode("relu", "relu", ("conv_a",), SHAPE),
        GraphNode("pool", "max_pool", ("relu",), SHAPE),
        GraphNode("conv_b", "conv", ("pool",), SHAPE, "b"),
        GraphNode("sum", "add", ("conv_b", "pool"), SHAPE),
        GraphNode("clamp", "clamp", ("sum",), SHAPE),
        GraphNode("mean", "mean", ("clamp",), (1, 4, 1, 1)),
        GraphNode("flat", "flatten", ("mean",), (1, 4)),
        GraphNode("head", "linear", ("flat",), (1, 10), "h"),
        GraphNode("output", "output", ("head",), ()),
    ]
    sites = [
        Site("a", "conv", "conv_a", (4, 4, 3, 3), 1, True, 1, 64),
        Site("b", "conv", "conv_b", (4, 4, 3, 3), 1, True, 1, 64),
        Site("h", "linear", "head", (10, 4), 1, True, 1, 1),
    ]
    return ModelGraph(tuple(nodes), tuple(sites), (SHAPE,))


ALL = {"a": "w8a8", "b": "w4a8", "h": "w8a8"}


def test_everything_at_eight_bits_moves_quantizers_above_the_pool_and_the_flatten():
    reads = quantized_reads(graph(), ALL, QuantizationRules())
    assert reads == (
        ("x", "conv_a"),
        ("relu", "pool"),
        ("conv_b", "sum"),
        ("clamp", "mean"),
        ("mean", "flat"),
    )


def test_a_join_with_a_float_neighbour_stays_float_and_so_does_the_pool():
    reads = quantized_reads(graph(), {**ALL, "a": "fp"}, QuantizationRules())
    assert ("conv_b", "sum") not in reads
    assert ("pool", "conv_b") in reads
    assert ("relu", "pool") not in reads


def test_a_weight_only_neighbour_counts_as_float():
    reads = quantized_reads(graph(), {**ALL, "b": "w8"}, QuantizationRules())
    assert not any(reader in {"sum", "conv_b"} for _, reader in reads)
    assert ("x", "conv_a") in reads


def test_a_reduction_follows_the_site_it_feeds():
    reads = quantized_reads(graph(), {"a": "w8a8", "b": "w8a8"}, QuantizationRules())
    assert ("clamp", "mean") not in reads
    assert not any(reader in {"head", "flat"} for _, reader in reads)


@pytest.mark.parametrize("options", [{}, {"a": "fp"}, {"a": "w8", "h": "w4g64"}])
def test_no_activation_bits_no_reads(options):
    assert quantized_reads(graph(), options, QuantizationRules()) == ()


def test_the_model_input_stays_float_when_the_rules_say_so():
    reads = quantized_reads(graph(), ALL, QuantizationRules(first_and_last=False))
    assert ("x", "conv_a") not in reads
    assert ("relu", "pool") in reads


def test_rules_without_joins_quantize_only_site_inputs():
    reads = quantized_reads(graph(), ALL, QuantizationRules(joins=(), reductions=(), passthrough=()))
    assert reads == (("x", "conv_a"), ("pool", "conv_b"), ("flat", "head"))


def test_every_read_under_any_rules_is_a_calibrated_value():
    values = set(quantizable_values(graph()))
    for rules in (QuantizationRules(), QuantizationRules((), (), ()), QuantizationRules(passthrough=())):
        assert {value for value, _ in quantized_reads(graph(), ALL, rules)} <= values


RESIDUALS = QuantizationRules(joins=(), reductions=(), passthrough=("max_pool",), residuals=True)


def test_a_sum_reads_the_other_summand_of_the_convolution_that_it_alone_reads():
    reads = quantized_reads(graph(), ALL, RESIDUALS)
    # Both readers of the pool take codes, so the quantizer is above it.
    assert reads == (("x", "conv_a"), ("relu", "pool"), ("flat", "head"))


def test_a_sum_beside_a_float_layer_is_one_of_numbers():
    reads = quantized_reads(graph(), {**ALL, "a": "fp"}, RESIDUALS)
    assert not [r for r in reads if r[1] == "sum"]


def _sum_of(*sides: GraphNode, readers: tuple[GraphNode, ...] = ()) -> ModelGraph:
    sites = [Site(n.site, "conv", n.name, (4, 4, 1, 1), 1, True, 1, 64) for n in sides if n.site]
    nodes = [GraphNode("x", "input", (), SHAPE), GraphNode("relu", "relu", ("x",), SHAPE), *sides]
    nodes += [GraphNode("sum", "add", tuple(n.name for n in sides), SHAPE), *readers]
    return ModelGraph((*nodes, GraphNode("output", "output", ("sum",), ())), tuple(sites), (SHAPE,))


LEFT, RIGHT = (GraphNode(f"conv_{n}", "conv", ("relu",), SHAPE, n) for n in "lr")


def test_of_two_convolutions_the_later_one_adds():
    reads = quantized_reads(_sum_of(RIGHT, LEFT), {"l": "w8a8", "r": "w8a8"}, RESIDUALS)
    assert [r for r in reads if r[1] == "sum"] == [("conv_r", "sum")]


@pytest.mark.parametrize(
    "made",
    [
        _sum_of(LEFT, LEFT),
        _sum_of(LEFT, GraphNode("wide", "relu", ("relu",), (1, 4, 1, 1))),
        _sum_of(LEFT, GraphNode("b", "constant", (), SHAPE)),
        _sum_of(LEFT, GraphNode("wide", "relu", ("conv_l",), SHAPE)),
    ],
    ids=["twice the same", "other shape", "constant", "read by others"],
)
def test_sums_that_no_convolution_takes_in_stay_numbers(made):
    assert not [r for r in quantized_reads(made, {"l": "w8a8"}, RESIDUALS) if r[1] == "sum"]
