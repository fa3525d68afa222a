"""Attention in a traced graph: where it is, its lengths, its query heads, and the stored heads of keys."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from automl.searchspaces.graph import GraphNode
    from automl.searchspaces.graph import ModelGraph

__all__ = ["Attention", "find_attentions", "source_elements"]

_WHOLE = "scaled_dot_product_attention"
#: Operations between the scores and the second product: scaling, masking, copies.
_BETWEEN = frozenset(
    {"mul", "div", "add", "sub", "masked_fill", "where", "softmax", "clone", "_to_copy", "reshape", "expand"}
    | {"alias", "safe_softmax", "_safe_softmax", "contiguous", "dropout"}
)
_SAME_STORE = frozenset(
    {"reshape", "transpose", "expand", "clone", "unsqueeze", "squeeze", "slice", "select", "alias", "mul"}
)


@dataclass(frozen=True)
class Attention:
    """Scores of ``sequences x heads`` pairs of (new, head) queries and (context, head) keys.

    Args:
        nodes: graph nodes, the first product to the second.
        operands: values read besides queries, keys and values: masks, scales.
        sequences: sequences of the traced example.
        heads: query heads.
        kv_heads: stored key and value heads.
        new: queries of a sequence.
        context: keys of a sequence.
        head: width of a head.
    """

    nodes: tuple[str, ...]
    operands: tuple[str, ...]
    sequences: float
    heads: int
    kv_heads: int
    new: int
    context: int
    head: int

    @property
    def scores(self) -> float:
        """Elements of all scores."""
        return self.sequences * self.heads * self.new * self.context


def source_elements(graph: ModelGraph, name: str) -> int:
    """Return the elements that are stored for a value: the least along the views and copies it comes from."""
    node = graph.node_by_name[name]
    least = math.prod(node.shape)
    while node.op in _SAME_STORE and node.inputs and node.inputs[0] in graph.node_by_name:
        if node.op in {"slice", "select"}:
            break
        if node.op == "mul" and math.prod(graph.node_by_name[node.inputs[0]].shape) != math.prod(node.shape):
            break
        node = graph.node_by_name[node.inputs[0]]
        least = min(least, math.prod(node.shape))
    return least


def find_attentions(graph: ModelGraph) -> tuple[Attention, ...]:
    """Return every attention of a graph in execution order."""
    found = []
    for node in graph.nodes:
        if node.op.startswith(_WHOLE):
            found.append(_whole(graph, node))
        elif node.op.endswith("softmax"):
            attention = _around(graph, node)
            if attention is not None:
                found.append(attention)
    return tuple(found)


def _whole(graph: ModelGraph, node: GraphNode) -> Attention:
    query, key, value = node.inputs[:3]
    return _shaped(graph, (node.name,), node.inputs[3:], query, key, value, flipped=False)


def _around(graph: ModelGraph, softmax: GraphNode) -> Attention | None:
    """Return the attention whose softmax this is, or None when it is another kind of softmax."""
    before, scores, operands = [softmax.name], softmax, list[str]()
    while scores.op != "matmul":
        if scores.op not in _BETWEEN or not scores.inputs:
            return None
        own, *others = scores.inputs
        operands += others
        scores = graph.node_by_name[own]
        before.insert(0, scores.name)
    after, result = list[str](), softmax
    while result.op != "matmul":
        readers = graph.consumers[result.name]
        if len(readers) != 1:
            return None
        result = graph.node_by_name[readers[0]]
        if result.op not in {*_BETWEEN, "matmul"}:
            return None
        after.append(result.name)
    if len(scores.inputs) < 2 or len(result.inputs) < 2 or len(scores.shape) < 3:
        return None
    query, key = scores.inputs[:2]
    return _shaped(graph, (*before, *after), tuple(operands), query, key, result.inputs[1], flipped=True)


def _shaped(
    graph: ModelGraph,
    nodes: tuple[str, ...],
    operands: tuple[str, ...],
    query: str,
    key: str,
    value: str,
    *,
    flipped: bool,
) -> Attention:
    """Read the shape of attention off its operands; ``flipped`` keys have their tokens last."""
    asked, cached = graph.node_by_name[query].shape, graph.node_by_name[key].shape
    new, head = asked[-2], asked[-1]
    context = cached[-1] if flipped else cached[-2]
    batch = max(graph.input_shapes[0][0], 1)
    every = math.prod(asked[:-2])
    heads = asked[-3] if len(asked) >= 4 else max(every // batch, 1)
    sequences = every / heads
    stored = min(source_elements(graph, key), source_elements(graph, value))
    kv_heads = max(round(stored / (sequences * context * head)), 1)
    return Attention(nodes, operands, sequences, heads, min(kv_heads, heads), new, context, head)
