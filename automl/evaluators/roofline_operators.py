"""The operators of a traced model, in elements: what is multiplied, read and written at a batch size.

Elements become bytes only with a precision (:mod:`automl.evaluators.roofline`), so one count serves every
candidate. Views move nothing. An elementwise operation that is the only reader of an operator's result runs
inside that operator, as runtimes fuse it. Attention is found as product, softmax, product.

Decoding is one new token a sequence against a cache: everything a token passes through is counted once, and
attention asks ``context`` keys and values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from dataclasses import replace
from typing import TYPE_CHECKING

from automl.core.errors import EvaluationError
from automl.evaluators.roofline_attention import find_attentions
from automl.evaluators.roofline_attention import source_elements

if TYPE_CHECKING:
    from automl.evaluators.roofline_attention import Attention
    from automl.searchspaces.graph import GraphNode
    from automl.searchspaces.graph import ModelGraph

__all__ = ["Operator", "operators_of"]

#: Operations that only reinterpret memory.
VIEWS = frozenset(
    {"reshape", "transpose", "expand", "slice", "select", "getitem", "flatten", "alias", "detach", "unbind"}
    | {"split", "split_with_sizes", "chunk", "squeeze", "unsqueeze"}
)
#: Operations that copy.
COPIES = frozenset(
    {"clone", "concat", "pad", "_to_copy", "contiguous", "index_select", "stack", "copy", "gather"}
)
NORMS = frozenset(
    {"layer_norm", "batch_norm", "group_norm", "native_layer_norm", "rms_norm", "instance_norm"}
)
REDUCTIONS = frozenset({"mean", "sum", "avg_pool", "max_pool", "amax", "linalg_vector_norm", "var_mean"})
#: Operations an output element costs, where it is not one.
COSTS = {
    "gelu": 8.0,
    "silu": 4.0,
    "sigmoid": 4.0,
    "tanh": 4.0,
    "hardswish": 4.0,
    "hardsigmoid": 3.0,
    "exp": 4.0,
}
_NOTHING = frozenset({"input", "constant", "output"})


@dataclass(frozen=True)
class Operator:
    """One executed operator, counted over a whole batch.

    Args:
        name: graph node that begins it.
        kind: ``conv``, ``linear``, ``embedding``, ``attention``, ``matmul``, ``softmax``, ``norm``,
            ``elementwise``, ``copy``.
        site: the site whose weight it applies, or None.
        macs: multiply-accumulates.
        ops: other operations.
        weights: weights read, elements.
        reads: activations read, elements.
        operands: further values read by what was fused into it, elements; they stay in float.
        writes: activations written, elements.
        nodes: graph nodes inside it.
        attention: the shape of attention when ``kind`` is ``attention``.
    """

    name: str
    kind: str
    site: str | None = None
    macs: float = 0.0
    ops: float = 0.0
    weights: float = 0.0
    reads: float = 0.0
    operands: float = 0.0
    writes: float = 0.0
    nodes: tuple[str, ...] = ()
    attention: Attention | None = None


def operators_of(
    graph: ModelGraph, *, batch: int = 1, decode: bool = False, context: int | None = None
) -> tuple[Operator, ...]:
    """Return the operators of a graph in execution order.

    Args:
        graph: the traced model.
        batch: samples of a run.
        decode: count one new token a sequence instead of the traced length.
        context: tokens that attention asks while decoding, the new one included; the traced length when None.

    Raises:
        EvaluationError: batch or context are not positive, or the model has no token axis to decode along.
    """
    if batch < 1 or (context is not None and context < 1):
        raise EvaluationError(
            f"batch={batch} and context={context} must be at least 1; give positive numbers"
        )
    return _Counter(graph, batch, decode, context).count()


class _Counter:
    """Walks a graph once."""

    def __init__(self, graph: ModelGraph, batch: int, decode: bool, context: int | None) -> None:
        self.graph, self.batch = graph, batch
        first = graph.input_shapes[0] if graph.input_shapes else ()
        self.traced_batch = max(first[0], 1) if first else 1
        self.length = first[1] if len(first) == 2 else 0
        if decode and not self.length:
            raise EvaluationError(
                f"a model with inputs of shape {first} has no token axis, so it cannot decode; count it "
                "without decode"
            )
        self.tokens = 1.0 / self.length if decode else 1.0
        self.context = (context or self.length) if decode else None
        self.varying = self._varying()
        self.attentions = find_attentions(graph)
        self.inside = {name: a for a in self.attentions for name in a.nodes}
        self.found: dict[str, Operator] = {}
        self.owner: dict[str, str] = {}

    def _varying(self) -> frozenset[str]:
        """Return the values that grow with the batch: whatever is computed from an input."""
        grown: set[str] = set()
        for node in self.graph.nodes:
            if node.op == "input" or any(i in grown for i in node.inputs):
                grown.add(node.name)
        return frozenset(grown)

    def elements(self, name: str) -> float:
        """Return the elements of a value at this batch and phase."""
        node = self.graph.node_by_name.get(name)
        if node is None or node.op == "output":
            return 0.0
        n = float(math.prod(node.shape))
        if name not in self.varying:
            return n
        return n * self.batch / self.traced_batch * self.tokens

    def reads(self, name: str) -> float:
        """Return the elements that reading a value moves; an expanded value is stored once."""
        shown = float(math.prod(self.graph.node_by_name[name].shape)) or 1.0
        return self.elements(name) * source_elements(self.graph, name) / shown

    def count(self) -> tuple[Operator, ...]:
        for node in self.graph.nodes:
            if node.op in _NOTHING:
                continue
            if node.name in self.inside:
                self._attention(self.inside[node.name], node)
            elif node.op in VIEWS:
                source = next((self.owner[i] for i in node.inputs if i in self.owner), None)
                if source is not None:
                    self.owner[node.name] = source
            else:
                self._plain(node)
        return tuple(self.found.values())

    def _add(self, node: GraphNode, operator: Operator) -> None:
        self.found[node.name] = operator
        self.owner[node.name] = node.name

    def _attention(self, attention: Attention, node: GraphNode) -> None:
        begin = attention.nodes[0]
        self.owner[node.name] = begin
        if node.name != attention.nodes[-1]:
            return
        scaled = replace(attention, sequences=attention.sequences * self.batch / self.traced_batch)
        if self.context is not None:
            scaled = replace(scaled, new=1, context=self.context)
        macs = 2.0 * scaled.sequences * scaled.heads * scaled.new * scaled.context * scaled.head
        extra = sum(self.elements(i) for i in attention.operands)
        self.found[begin] = Operator(
            begin, "attention", None, macs, operands=extra, nodes=attention.nodes, attention=scaled
        )

    def _plain(self, node: GraphNode) -> None:
        out = self.elements(node.name)
        if node.site is not None:
            self._add(node, self._site(node, out))
        elif node.op == "embedding":
            self._add(
                node, Operator(node.name, "embedding", None, weights=out, writes=out, nodes=(node.name,))
            )
        elif node.op in {"linear", "matmul", "conv", "baddbmm", "addmm"}:
            self._add(node, self._product(node, out))
        elif node.op in NORMS or node.op == "softmax":
            kind = "softmax" if node.op == "softmax" else "norm"
            reads = sum(self.reads(i) for i in node.inputs)
            self._add(node, Operator(node.name, kind, None, reads=reads, writes=out, nodes=(node.name,)))
        elif node.op in COPIES:
            if self._is_expanded(node):
                self.owner[node.name] = next(
                    (self.owner[i] for i in node.inputs if i in self.owner), node.name
                )
                return
            reads = out if node.op == "gather" else sum(self.reads(i) for i in node.inputs)
            self._add(node, Operator(node.name, "copy", None, reads=reads, writes=out, nodes=(node.name,)))
        elif not self._fused(node, out):
            reads = sum(self.reads(i) for i in node.inputs)
            work = reads if node.op in REDUCTIONS else out
            ops = COSTS.get(node.op, 1.0) * work
            self._add(
                node,
                Operator(
                    node.name, "elementwise", None, ops=ops, reads=reads, writes=out, nodes=(node.name,)
                ),
            )

    def _is_expanded(self, node: GraphNode) -> bool:
        """Whether a copy only repeats heads, which kernels of grouped attention read in place."""
        return len(node.inputs) == 1 and source_elements(self.graph, node.inputs[0]) < math.prod(node.shape)

    def _site(self, node: GraphNode, out: float) -> Operator:
        site = self.graph.site(node.site or "")
        if site.op == "embedding":
            return Operator(node.name, "embedding", site.name, weights=out, writes=out, nodes=(node.name,))
        macs = out * math.prod(site.weight_shape[1:])
        reads = sum(self.reads(i) for i in node.inputs)
        return Operator(
            node.name,
            site.op,
            site.name,
            macs,
            weights=float(site.n_weights),
            reads=reads,
            writes=out,
            nodes=(node.name,),
        )

    def _product(self, node: GraphNode, out: float) -> Operator:
        first = self.graph.node_by_name.get(node.inputs[0]) if node.inputs else None
        inner = first.shape[-1] if first is not None and first.shape else 1
        reads = sum(self.reads(i) for i in node.inputs)
        return Operator(node.name, "matmul", None, out * inner, reads=reads, writes=out, nodes=(node.name,))

    def _fused(self, node: GraphNode, out: float) -> bool:
        """Put an elementwise operation into the operator whose result only it reads; say whether it fits."""
        if node.op in REDUCTIONS:
            return False
        for name in node.inputs:
            begin = self.owner.get(name)
            if begin is None or not self._only_reader(name, node.name):
                continue
            host = self.found.get(begin)
            if host is None or host.attention is not None or self.elements(name) != out:
                continue
            others = [i for i in node.inputs if i != name]
            self.found[begin] = replace(
                host,
                ops=host.ops + COSTS.get(node.op, 1.0) * out,
                operands=host.operands + sum(self.reads(i) for i in others),
                nodes=(*host.nodes, node.name),
            )
            self.owner[node.name] = begin
            return True
        return False

    def _only_reader(self, name: str, reader: str) -> bool:
        """Whether nothing but ``reader`` reads ``name``, nor the values it is a view of."""
        while self.graph.consumers[name] == (reader,):
            node = self.graph.node_by_name[name]
            if node.op not in VIEWS or not node.inputs:
                return True
            reader, name = name, node.inputs[0]
        return False
