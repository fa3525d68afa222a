from __future__ import annotations

import pytest
import torch
from torch import fx

from automl.targets.torch_attention import fuse_attention

aten = torch.ops.aten


def _graph(*, scale: float | None, mask: bool, shared: bool = False, rank: int = 4) -> fx.Graph:
    """Spell out an attention of values q, k, v and, when asked, m."""
    graph = fx.Graph()
    q, k, v = (graph.placeholder(n) for n in "qkv")
    m = graph.placeholder("m")
    turned = graph.call_function(aten.transpose.int, (k, 2, 3))
    scores = graph.call_function(aten.matmul.default, (q, turned))
    soft = scores
    if scale is not None:
        soft = graph.call_function(aten.mul.Tensor, (soft, scale))
    if mask:
        soft = graph.call_function(aten.add.Tensor, (soft, m))
    soft = graph.call_function(aten.softmax.int, (soft, -1))
    out = graph.call_function(aten.matmul.default, (soft, v))
    graph.output((out, scores) if shared else (out,))
    for node in graph.nodes:
        node.meta.update(rank=rank, dtype=torch.float32)
    return graph


@pytest.mark.parametrize("scale", [None, 0.25])
@pytest.mark.parametrize("mask", [False, True])
def test_attention_is_found_and_gives_the_same(scale, mask):
    g = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 3, 5, 4, generator=g) for _ in range(3))
    m = torch.where(torch.rand(2, 1, 1, 5, generator=g) < 0.3, torch.finfo(torch.float32).min, 0.0)
    expected = fx.GraphModule(torch.nn.Module(), _graph(scale=scale, mask=mask))(q, k, v, m)[0]
    graph = _graph(scale=scale, mask=mask)
    assert fuse_attention(graph) == 1
    fused = fx.GraphModule(torch.nn.Module(), graph)
    torch.testing.assert_close(fused(q, k, v, m)[0], expected, rtol=1e-5, atol=1e-5)
    users = {str(n.target) for n in graph.nodes if n.users}
    assert "aten.scaled_dot_product_attention.default" in users


@pytest.mark.parametrize("difference", [{"shared": True}, {"rank": 3}])
def test_what_others_read_or_has_other_axes_is_left_alone(difference):
    assert fuse_attention(_graph(scale=None, mask=False, **difference)) == 0
