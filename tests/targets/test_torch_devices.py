"""Programs on another device than they were traced on; torch's device without memory stands for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import fx
from torch import nn

from automl.targets.torch_devices import place_on
from automl.targets.torch_devices import waiting_node
from automl.targets.torch_sites import Serving
from tests.targets.conftest import Small
from tests.targets.programs import lowered

if TYPE_CHECKING:
    from collections.abc import Callable

aten = torch.ops.aten


class Positions(nn.Module):
    """Makes values of its own: positions, a mask on a named device, a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, 8, 4) of (n, 8, 16)."""
        steps = torch.arange(x.shape[1])
        mask = torch.full((8, 16), 0.5, device="cpu").triu()
        return self.out((x + steps[:, None] * mask + torch.zeros(16)).to("cpu"))


@pytest.fixture(scope="module")
def positions() -> Small:
    return Small.of(Positions().eval(), torch.randn(2, 8, 16, generator=torch.Generator().manual_seed(3)))


def _one_node(target: Callable[..., object], arguments: object, **named: object) -> fx.Graph:
    graph = fx.Graph()
    x = graph.placeholder("x")
    graph.output(graph.call_function(target, arguments(x), named))
    return graph


@pytest.mark.parametrize("name", ["positions", "encoder", "small", "heads"])
def test_a_program_runs_where_it_is_served_whatever_device_its_graph_names(
    name: str, request: pytest.FixtureRequest
) -> None:
    net: Small = request.getfixturevalue(name)
    program = lowered(net, {}, Serving(device="meta"))
    result = program.run(torch.from_numpy(net.images).to("meta"))
    assert result.is_meta
    assert result.shape == net.logits.shape
    assert program.waits == ""


def test_values_of_other_tensors_are_made_where_those_are() -> None:
    graph = _one_node(aten.zeros_like.default, lambda x: (x,))
    place_on(graph, "meta")
    assert [n.kwargs for n in graph.nodes if n.op == "call_function"] == [{}]


def test_a_device_that_is_left_out_is_written_down_and_a_named_one_is_replaced() -> None:
    for named in ({}, {"device": torch.device("cpu")}, {"device": None}):
        graph = _one_node(aten.arange.default, lambda _: (4,), **named)
        place_on(graph, "meta")
        (made,) = [n for n in graph.nodes if n.op == "call_function"]
        assert made.kwargs["device"] == torch.device("meta")


@pytest.mark.parametrize(
    ("target", "arguments", "waits"),
    [
        (aten.nonzero.default, lambda x: (x,), True),
        (aten._local_scalar_dense.default, lambda x: (x,), True),
        (aten.masked_select.default, lambda x: (x, x), True),
        (aten.relu.default, lambda x: (x,), False),
        (aten.index.Tensor, lambda x: (x, [x]), False),
    ],
)
def test_what_the_host_must_know_is_said_to_wait(target: object, arguments: object, waits: bool) -> None:
    found = waiting_node(_one_node(target, arguments))
    assert bool(found) == waits
    assert not waits or "makes the host wait" in found


def test_indexing_waits_with_a_mask() -> None:
    graph = _one_node(aten.index.Tensor, lambda x: (x, [None, x]))
    next(iter(graph.nodes)).meta["dtype"] = torch.bool
    assert "aten.index.Tensor" in waiting_node(graph)
