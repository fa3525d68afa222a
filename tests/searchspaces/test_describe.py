import torch
from torch import nn

from automl.searchspaces.describe import output_tensors
from automl.searchspaces.trace import trace_model


def test_sites_are_named_after_their_modules_with_shapes_macs_and_blocks(traced_conv):
    sites = {s.name: s for s in traced_conv[2].graph.sites}
    names = ["stem", "blocks.0.dw", "blocks.0.pw", "blocks.1.dw", "blocks.1.pw", "head"]
    assert list(sites) == names
    assert sites["stem"].macs == 7 * 7 * 8 * 27
    assert sites["stem"].rows == 49
    assert sites["blocks.0.dw"].depthwise
    assert sites["blocks.0.dw"].macs == 49 * 8 * 9
    assert sites["blocks.1.pw"].block == "blocks.1"
    assert sites["head"].block == ""
    assert (sites["head"].macs, sites["head"].rows) == (40, 1)
    assert all(s.bias for s in sites.values())


def test_only_the_batch_norm_after_no_layer_is_left(traced_conv):
    ops = [n.op for n in traced_conv[2].graph.nodes]
    assert sum("norm" in op for op in ops) == 1
    assert ops.count("mean") == 1


def test_edges_join_producers_through_the_residual_add(traced_conv):
    edges = traced_conv[2].graph.site_edges
    assert ("stem", "blocks.1.dw") in edges
    assert ("blocks.0.pw", "blocks.1.dw") in edges
    assert ("blocks.0.dw", "blocks.1.dw") not in edges


def test_a_matrix_tied_to_the_embedding_is_one_linear_site(traced_tokens):
    model, inputs, traced = traced_tokens
    graph = traced.graph
    assert graph.site("head").op == "linear"
    assert "table" not in graph.site_by_name
    assert [n.site for n in graph.nodes if n.op == "embedding"] == [None, "place"]
    torch.testing.assert_close(traced.module(*inputs), model(*inputs), rtol=1e-4, atol=1e-5)


def test_packed_attention_weights_become_sites_with_all_rows(traced_tokens):
    site = traced_tokens[2].graph.site("layers.0.self_attn.in_proj")
    assert site.weight_shape == (48, 16)
    assert site.rows == 9
    assert site.macs == 9 * 48 * 16
    assert site.block == "layers.0"


def test_a_layer_applied_twice_is_one_site_with_the_sum_of_macs():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x):
            return self.fc(self.fc(x).relu())

    graph = trace_model(Twice(), (torch.randn(2, 4),)).graph
    assert [s.name for s in graph.sites] == ["fc"]
    assert graph.site("fc").macs == 32
    assert [n.site for n in graph.nodes].count("fc") == 2


def test_output_tensors_come_flat_and_in_order():
    a, b, c = torch.zeros(1), torch.ones(1), torch.full((1,), 2.0)
    assert output_tensors((a, {"x": b, "y": [c, None]})) == (a, b, c)
    assert output_tensors(a) == (a,)
