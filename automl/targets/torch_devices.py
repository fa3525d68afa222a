"""A program on a device: where its graph makes values, and what in it waits for the device.

A traced graph names the device that it was traced on, and makes some values on the default one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import torch
from torch import fx

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["place_on", "waiting_node"]

aten: Any = torch.ops.aten

#: Operators whose result, or the shape of it, the host must know before it goes on.
_WAITING = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)


def place_on(graph: fx.Graph, device: str) -> None:
    """Make everything that the graph makes or moves on ``device``."""
    wanted = torch.device(device)

    def moved(value: Any) -> Any:
        return wanted if isinstance(value, torch.device) else value

    for node in graph.nodes:
        if node.op != "call_function":
            continue
        node.args = fx.node.map_aggregate(node.args, moved)
        node.kwargs = fx.node.map_aggregate(node.kwargs, moved)
        if _makes_values(node):
            node.kwargs = {**node.kwargs, "device": wanted}


def _makes_values(node: fx.Node) -> bool:
    """Return whether a node makes a tensor of no other, and on the default device unless it is told one."""
    if not isinstance(node.target, torch._ops.OpOverload) or node.kwargs.get("device") is not None:
        return False
    arguments = node.target._schema.arguments
    takes_tensor = any("Tensor" in str(a.type) for a in arguments)
    return not takes_tensor and any(a.name == "device" for a in arguments)


def waiting_node(graph: fx.Graph) -> str:
    """Return why the launches of a graph cannot be captured, empty when nothing in it is known to wait.

    Indexing waits with masks alone, whose numbers of entries the host must count.
    """
    for node in graph.nodes:
        target: Callable[..., Any] | str = node.target
        if not isinstance(target, torch._ops.OpOverload) or not set(target.tags) & set(_WAITING):
            continue
        if target is aten.index.Tensor and not _has_mask(node):
            continue
        return f"'{node.name}' ({target}) makes the host wait for a value of the device"
    return ""


def _has_mask(node: fx.Node) -> bool:
    places = node.args[1] if isinstance(node.args[1], list | tuple) else ()
    return any(isinstance(p, fx.Node) and p.meta.get("dtype") in (torch.bool, torch.uint8) for p in places)
