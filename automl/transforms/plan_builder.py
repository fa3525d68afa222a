"""Where activation quantizers go: a pure function of graph, options and the runtime's rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automl.transforms.precision import parse_precision

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping

    from automl.searchspaces.graph import GraphNode
    from automl.searchspaces.graph import ModelGraph
    from automl.transforms.plan import QuantizationRules

__all__ = ["ELEMENTWISE", "quantizable_values", "quantized_reads"]

#: One-input ops between a layer and the value that gets quantized; neighbours are sought through them.
ELEMENTWISE = frozenset(
    {
        "relu",
        "clamp",
        "leaky_relu",
        "gelu",
        "silu",
        "hardswish",
        "hardsigmoid",
        "sigmoid",
        "tanh",
        "elu",
        "clone",
    }
)


def quantizable_values(graph: ModelGraph) -> tuple[str, ...]:
    """Return every value that some candidate may quantize under some rules, in execution order.

    Those are all inputs of sites, of ops with several inputs and of pools, and what those are copies of.
    """
    wanted: set[str] = set()
    for node in reversed(graph.nodes):
        if node.op in {"input", "constant", "output"}:
            continue
        if node.name in wanted and len(node.inputs) == 1:
            wanted.update(node.inputs)
        elif node.site is not None:
            wanted.update(node.inputs[:1])
        elif node.op not in ELEMENTWISE:
            wanted.update(node.inputs)
    return tuple(n.name for n in graph.nodes if n.name in wanted and n.op != "constant")


def quantized_reads(
    graph: ModelGraph, precisions: Mapping[str, str], rules: QuantizationRules
) -> tuple[tuple[str, str], ...]:
    """Return the (value, consumer node) pairs that get an 8-bit quantizer, in execution order.

    * A site with activation bits reads its input quantized.
    * A join or reduction reads all its inputs quantized when it has neighbouring sites and all of them have
      8-bit activations; neighbours are sought up and down through ``passthrough`` and elementwise ops.
    * With ``residuals``, an addition of a convolution's result that nothing else reads, and of a value of the
      same shape, reads the latter quantized, under the same condition.
    * When every reader of a passthrough op's value is quantized, the quantizer moves to the op's own input.

    Args:
        graph: the graph.
        precisions: option of each site; sites left out are float.
        rules: the runtime's rules.
    """
    quantized = {
        name for name, option in precisions.items() if parse_precision(option).activation_bits is not None
    }
    eligible = set(rules.joins) | set(rules.reductions)
    see_through = ELEMENTWISE | set(rules.passthrough)
    reads: dict[tuple[str, str], None] = {}
    for node in graph.nodes:
        if node.site is not None:
            source = node.inputs[0]
            own_input = graph.node_by_name[source].op == "input" and not rules.first_and_last
            if node.site in quantized and node.op != "embedding" and not own_input:
                reads[source, node.name] = None
        elif node.op in eligible:
            near = _neighbours(graph, node, see_through)
            if near and near <= quantized:
                for source in node.inputs:
                    if graph.node_by_name[source].op not in {"constant", "input"}:
                        reads[source, node.name] = None
        elif rules.residuals and node.op == "add":
            other = _residual(graph, node)
            if other is not None and _neighbours(graph, node, see_through) <= quantized:
                reads[other, node.name] = None
    return _moved_up(graph, reads, frozenset(rules.passthrough))


def _residual(graph: ModelGraph, node: GraphNode) -> str | None:
    """Return what an addition adds to the result of a convolution that it alone reads, or None.

    Of two such convolutions the later one takes the other's result.
    """
    if len(node.inputs) != 2:
        return None
    sides = [graph.node_by_name[name] for name in node.inputs]
    if sides[0] is sides[1] or sides[0].shape != sides[1].shape:
        return None
    alone = [s for s in sides if s.op == "conv" and s.site is not None and len(graph.consumers[s.name]) == 1]
    if not alone:
        return None
    adding = alone[0] if len(alone) == 1 else max(alone, key=graph.nodes.index)
    (other,) = (s for s in sides if s is not adding)
    return None if other.op in {"constant", "input"} else other.name


def _neighbours(graph: ModelGraph, node: GraphNode, see_through: frozenset[str] | set[str]) -> set[str]:
    """Return the sites that feed or read ``node`` with only see-through ops between."""

    def collect(name: str, step: Callable[[GraphNode], tuple[str, ...]], seen: set[str]) -> set[str]:
        if name in seen:
            return set()
        seen.add(name)
        found = graph.node_by_name[name]
        if found.site is not None:
            return {found.site}
        if found.op not in see_through:
            return set()
        return set().union(*(collect(n, step, seen) for n in step(found)), set())

    above: set[str] = set()
    below: set[str] = set()
    sites = set().union(*(collect(i, lambda n: n.inputs, above) for i in node.inputs), set())
    return sites.union(
        *(collect(c, lambda n: graph.consumers[n.name], below) for c in graph.consumers[node.name])
    )


def _moved_up(
    graph: ModelGraph, reads: dict[tuple[str, str], None], passthrough: frozenset[str]
) -> tuple[tuple[str, str], ...]:
    """Move quantizers above passthrough ops whose every reader is quantized."""
    for node in reversed(graph.nodes):
        if node.op not in passthrough or node.site is not None or not node.inputs:
            continue
        readers = graph.consumers[node.name]
        source = graph.node_by_name[node.inputs[0]].op
        if source not in {"input", "constant"} and readers and all((node.name, r) in reads for r in readers):
            for reader in readers:
                del reads[node.name, reader]
            reads[node.inputs[0], node.name] = None
    order = {n.name: i for i, n in enumerate(graph.nodes)}
    return tuple(sorted(reads, key=lambda read: (order[read[1]], order[read[0]])))
