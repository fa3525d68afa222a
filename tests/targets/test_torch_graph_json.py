from __future__ import annotations

import json

import pytest
import torch
from torch import fx

from automl.core.errors import EvaluationError
from automl.targets.torch_graph_json import graph_from_json
from automl.targets.torch_graph_json import graph_to_json

aten = torch.ops.aten


def _graph() -> fx.Graph:
    graph = fx.Graph()
    x = graph.placeholder("x")
    size = graph.call_function(aten.sym_size.int, (x, 0))
    wide = graph.call_function(aten._to_copy.default, (x,), {"dtype": torch.float64})
    least = graph.call_function(aten.clamp.default, (wide, float("-inf"), 2.5))
    flat = graph.call_function(aten.reshape.default, (least, [size, -1]))
    copied = graph.call_function(aten.clone.default, (flat,), {"memory_format": torch.contiguous_format})
    graph.output((copied,))
    return graph


def test_a_graph_survives_json_with_names_types_and_infinities():
    rows = json.loads(json.dumps(graph_to_json(_graph()), allow_nan=False))
    again = graph_from_json(rows)
    assert [n.name for n in again.nodes] == [n.name for n in _graph().nodes]
    x = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    (y,) = fx.GraphModule(torch.nn.Module(), again)(x)
    assert torch.equal(y, torch.tensor([[1.0, 2.0, 2.5, 2.5]], dtype=torch.float64))


def test_a_call_of_something_else_is_refused_when_it_is_written():
    graph = fx.Graph()
    graph.output(graph.call_function(sorted, (graph.placeholder("x"),)))
    with pytest.raises(EvaluationError, match=r"node 'sorted_1' calls .*cannot hold"):
        graph_to_json(graph)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([["call_function", "a", "os.system", ["true"], {}]], "calls 'os.system'"),
        ([["call_function", "a", "aten.no_such_operator.default", [], {}]], "aten.no_such_operator.default"),
        ([["call_function", "a", "aten.relu.default", [{"node": "x"}], {}]], "damaged"),
        ([["call_module", "a", "layer", [], {}]], "operation 'call_module'"),
        ([["placeholder", "a"]], "damaged"),
        ([["call_function", "a", "aten.relu.default", [{"object": "x"}], {}]], "'object'"),
    ],
)
def test_rows_that_are_no_graph_are_refused(rows, words):
    with pytest.raises(EvaluationError, match=words):
        graph_from_json(rows)
