from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import fx

from automl.targets.torch_half import to_half
from automl.targets.torch_sites import Serving
from tests.targets.programs import lowered

if TYPE_CHECKING:
    from tests.targets.conftest import Small

aten = torch.ops.aten


def test_products_are_cast_once_and_outputs_come_back():
    graph = fx.Graph()
    x, y = graph.placeholder("x"), graph.placeholder("y")
    first = graph.call_function(aten.matmul.default, (x, y))
    second = graph.call_function(aten.matmul.default, (x, first))
    graph.output((second,))
    for node in graph.nodes:
        node.meta.update(rank=2, dtype=torch.float32)
    to_half(graph)
    casts = [n for n in graph.nodes if n.name.startswith("cast")]
    assert [str(n.args[1]) for n in casts] == ["torch.bfloat16", "torch.bfloat16", "torch.float32"]
    run = fx.GraphModule(torch.nn.Module(), graph)
    (result,) = run(torch.eye(3), torch.full((3, 3), 1.0 + 2**-10))
    assert result.dtype == torch.float32
    assert torch.equal(result, torch.ones(3, 3))


def test_a_value_that_the_model_turned_to_float32_stays_in_it():
    graph = fx.Graph()
    x = graph.placeholder("x")
    half = graph.call_function(aten.matmul.default, (x, x))
    wide = graph.call_function(aten._to_copy.default, (half,), {"dtype": torch.float32})
    graph.output((graph.call_function(aten.mul.Tensor, (wide, 2.0)),))
    for node in graph.nodes:
        node.meta.update(rank=2, dtype=torch.float32)
    to_half(graph)
    assert wide.meta["dtype"] is torch.float32
    assert half.meta["dtype"] is torch.bfloat16


def test_the_lowest_number_of_a_mask_stays_finite(encoder: Small) -> None:
    result = lowered(encoder, {}, Serving(torch.bfloat16)).run(torch.zeros(2, 8, dtype=torch.int64))
    assert torch.isfinite(result).all()
