"""Compute a program in bfloat16: products take it, and what follows from them stays in it.

Values that no product has touched yet, and values that the model itself turned to float32, stay in float32
until they meet a bfloat16 one. Reductions accumulate in float32 inside their kernels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import torch

from automl.targets.torch_layers import cast

if TYPE_CHECKING:
    from torch import fx

__all__ = ["to_half"]

aten: Any = torch.ops.aten

HALF = torch.bfloat16

_PRODUCTS = frozenset(
    {
        aten.linear.default,
        aten.matmul.default,
        aten.bmm.default,
        aten.mm.default,
        aten.addmm.default,
        aten.baddbmm.default,
        aten.convolution.default,
        aten.conv1d.default,
        aten.conv2d.default,
        aten.conv3d.default,
        aten.scaled_dot_product_attention.default,
    }
)

#: Their scales and shifts may be float32 beside a bfloat16 value, and are then not rounded.
_NORMS = frozenset({aten.layer_norm.default, aten.native_layer_norm.default, aten.group_norm.default})

_LOWEST = torch.finfo(HALF).min


def to_half(graph: fx.Graph) -> None:
    """Insert the casts; layers must be in the graph already, built for bfloat16."""
    casts: dict[tuple[fx.Node, bool], fx.Node] = {}
    for node in list(graph.nodes):
        if node.op == "call_module":
            if node.meta["kind"] in ("float", "w8", "w4"):
                _cast_inputs(graph, node, [node.args[0]], casts)
            if node.meta["kind"] != "codes" and node.meta.get("dtype") is torch.float32:
                node.meta["dtype"] = HALF
        elif node.op == "call_function":
            _call(graph, node, casts)
        elif node.op == "output":
            _restore(graph, node)


def _call(graph: fx.Graph, node: fx.Node, casts: dict[tuple[fx.Node, bool], fx.Node]) -> None:
    floats = [a for a in node.all_input_nodes if a.meta.get("dtype") in (torch.float32, HALF)]
    met = any(a.meta["dtype"] is HALF for a in floats)
    asked = [a for a in (*node.args, *node.kwargs.values()) if a is torch.float32]
    if node.target in _PRODUCTS or (met and node.target not in _NORMS):
        _cast_inputs(graph, node, floats, casts)
    if node.meta.get("dtype") is torch.float32 and not asked:
        halves = [a for a in node.all_input_nodes if a.meta.get("dtype") is HALF]
        if node.target in _PRODUCTS or halves:
            node.meta["dtype"] = HALF


def _cast_inputs(
    graph: fx.Graph, node: fx.Node, values: list[Any], casts: dict[tuple[fx.Node, bool], fx.Node]
) -> None:
    """Make ``node`` read its float32 values in bfloat16, cast once for all readers."""
    is_attention = node.target is aten.scaled_dot_product_attention.default
    for value in values:
        if value.meta.get("dtype") is not torch.float32:
            continue
        masks = is_attention and len(node.args) > 3 and node.args[3] is value
        if (value, masks) not in casts:
            arguments = (value, HALF, _LOWEST) if masks else (value, HALF)
            with graph.inserting_before(node):
                made = graph.call_function(cast, arguments)
            made.meta.update(value.meta, dtype=HALF, origins=(value.name,), constant=value.op == "get_attr")
            casts[value, masks] = made
        node.replace_input_with(value, casts[value, masks])


def _restore(graph: fx.Graph, node: fx.Node) -> None:
    """Give outputs in float32."""
    for value in node.all_input_nodes:
        if value.meta.get("dtype") is HALF:
            with graph.inserting_before(node):
                back = graph.call_function(cast, (value, torch.float32))
            back.meta.update(value.meta, dtype=torch.float32, origins=(value.name,))
            node.replace_input_with(value, back)
