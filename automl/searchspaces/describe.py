"""Describe a traced fx graph as a :class:`ModelGraph`: sites with names, shapes, blocks and costs."""

from __future__ import annotations

import math
import operator
import re
from typing import Any

import torch
from torch import fx

from automl.searchspaces.fold import CONV_OPS
from automl.searchspaces.fold import attribute
from automl.searchspaces.graph import GraphNode
from automl.searchspaces.graph import ModelGraph
from automl.searchspaces.graph import Site

__all__ = ["ShapeRecorder", "describe", "output_tensors"]

aten: Any = torch.ops.aten

_OPS = {
    "conv1d": "conv",
    "conv2d": "conv",
    "conv3d": "conv",
    "mm": "matmul",
    "bmm": "matmul",
    "hardtanh": "clamp",
    "relu6": "clamp",
    "clamp": "clamp",
    "max_pool1d": "max_pool",
    "max_pool2d": "max_pool",
    "avg_pool1d": "avg_pool",
    "avg_pool2d": "avg_pool",
    "adaptive_avg_pool1d": "avg_pool",
    "adaptive_avg_pool2d": "avg_pool",
    "view": "reshape",
    "_unsafe_view": "reshape",
    "squeeze": "reshape",
    "unsqueeze": "reshape",
    "permute": "transpose",
    "t": "transpose",
    "cat": "concat",
    "constant_pad_nd": "pad",
    "_softmax": "softmax",
    "_native_batch_norm_legit_no_training": "batch_norm",
}


def output_tensors(outputs: Any) -> tuple[torch.Tensor, ...]:
    """Return the tensors in a model's output, a tensor or nested tuples, lists and dicts, in order."""
    leaves = torch.utils._pytree.tree_leaves(outputs)
    return tuple(leaf for leaf in leaves if isinstance(leaf, torch.Tensor))


class ShapeRecorder(fx.Interpreter):
    """Run the graph once and keep the shape of every value."""

    def __init__(self, gm: fx.GraphModule) -> None:
        super().__init__(gm)
        self.shapes: dict[str, tuple[int, ...] | None] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Run one node and note the shape of its value; () for several tensors."""
        result = super().run_node(n)
        if isinstance(result, torch.Tensor):
            self.shapes[n.name] = tuple(result.shape)
        elif output_tensors(result):
            self.shapes[n.name] = ()
        return result


def _op(node: fx.Node) -> str:
    if node.target is operator.getitem:
        return "getitem"
    packet = getattr(node.target, "overloadpacket", None)
    name = str(packet).removeprefix("aten.") if packet is not None else str(node.target)
    return _OPS.get(name, name)


def _weight_node(node: fx.Node) -> fx.Node | None:
    """Return the get_attr node of the weight ``node`` applies, or None."""
    if node.op != "call_function":
        return None
    if node.target in CONV_OPS or node.target is aten.linear.default:
        weight = node.args[1]
    elif node.target is aten.embedding.default:
        weight = node.args[0]
    else:
        return None
    return weight if isinstance(weight, fx.Node) and weight.op == "get_attr" else None


def describe(
    gm: fx.GraphModule, shapes: dict[str, tuple[int, ...] | None], inputs: tuple[torch.Tensor, ...]
) -> ModelGraph:
    """Return the model graph of a folded fx graph.

    Args:
        gm: the folded ATen graph.
        shapes: shape of every value as :class:`ShapeRecorder` saw it on ``inputs``.
        inputs: the example inputs, batch first.
    """
    owner: dict[str, fx.Node] = {}
    for node in gm.graph.nodes:
        weight = _weight_node(node)
        if weight is not None:
            target = str(weight.target)
            if target not in owner or owner[target].target is aten.embedding.default:
                owner[target] = node
    first = {node: target.removesuffix(".weight") for target, node in owner.items()}
    applied = {
        name: [n for n in gm.graph.nodes if _site_name(n) == name and _same(n, a)]
        for a, name in first.items()
    }
    site_of = {node: name for name, nodes in applied.items() for node in nodes}
    nodes: list[GraphNode] = []
    for node in gm.graph.nodes:
        shape = shapes.get(node.name)
        if shape is None or node.op == "output":
            continue
        weight = _weight_node(node)
        own = (
            node.args[1:3] if weight is not None and node.target is not aten.embedding.default else (weight,)
        )
        reads = [a for a in node.all_input_nodes if a not in own and shapes.get(a.name) is not None]
        kind = {"placeholder": "input", "get_attr": "constant"}.get(node.op) or _op(node)
        if kind == "constant" and all(_owns(user, node) for user in node.users):
            continue
        nodes.append(GraphNode(_name(node), kind, tuple(_name(a) for a in reads), shape, site_of.get(node)))
    results = [a for a in gm.graph.output_node().all_input_nodes if shapes.get(a.name) is not None]
    nodes.append(GraphNode("output", "output", tuple(_name(a) for a in results), ()))
    batch = max(inputs[0].shape[0], 1) if inputs[0].dim() else 1
    sizes = {n: math.prod(shapes[n.name] or ()) // batch for n in site_of}
    order = sorted(first, key=list(gm.graph.nodes).index)
    sites = _with_blocks(
        [_site(gm, node, first[node], [sizes[n] for n in applied[first[node]]]) for node in order]
    )
    weights = {f"{s.name}.weight" for s in sites}
    other = sum(p.numel() for n, p in gm.named_parameters() if n not in weights)
    return ModelGraph(tuple(nodes), tuple(sites), tuple(tuple(t.shape) for t in inputs), other)


def _site_name(node: fx.Node) -> str | None:
    weight = _weight_node(node)
    return None if weight is None else str(weight.target).removesuffix(".weight")


def _same(node: fx.Node, other: fx.Node) -> bool:
    """Whether both are tables or both are layers; a table tied to a layer is no site of its own."""
    return (node.target is aten.embedding.default) == (other.target is aten.embedding.default)


def _owns(user: fx.Node, constant: fx.Node) -> bool:
    """Whether ``user`` is a site and ``constant`` its weight or bias."""
    if _weight_node(user) is None:
        return False
    return constant in (user.args[:1] if user.target is aten.embedding.default else user.args[1:3])


def _name(node: fx.Node) -> str:
    return str(node.target) if node.op == "get_attr" else node.name


def _site(gm: fx.GraphModule, node: fx.Node, name: str, sizes: list[int]) -> Site:
    """Describe a site from its first node and the output elements a sample has at each of its nodes."""
    weight = tuple(attribute(gm, f"{name}.weight").shape)
    if node.target is aten.embedding.default:
        return Site(name, "embedding", node.name, weight, 1, False, 0, sizes[0] // weight[1])
    bias = len(node.args) > 2 and node.args[2] is not None
    macs, rows = sum(sizes) * math.prod(weight[1:]), sizes[0] // weight[0]
    if node.target is aten.linear.default:
        return Site(name, "linear", node.name, weight, 1, bias, macs, rows)
    groups: Any = node.args[6] if len(node.args) > 6 else 1
    return Site(name, "conv", node.name, weight, int(groups), bias, macs, rows)


def _with_blocks(sites: list[Site]) -> list[Site]:
    """Set each site's block: its longest prefix that ends in a number and that another site shares."""
    numbered = re.compile(r"\d+|.*(layer|block)_\d+")
    prefixes: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    for site in sites:
        parts = site.name.split(".")
        prefixes[site.name] = [
            ".".join(parts[:i]) for i in range(len(parts) - 1, 0, -1) if numbered.fullmatch(parts[i - 1])
        ]
        for prefix in prefixes[site.name]:
            counts[prefix] = counts.get(prefix, 0) + 1
    blocks = {s.name: next((p for p in prefixes[s.name] if counts[p] > 1), "") for s in sites}
    return [Site(**{**s.__dict__, "block": blocks[s.name]}) for s in sites]
