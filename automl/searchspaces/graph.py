"""The model graph: what the search knows of a traced model, as values without torch objects.

Nodes are the operations of the exported program after batch-norm folding. A node's name is the name of the
value it produces, equal in the exported program and in the ONNX graph, so a precision plan that names values
means the same in both.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from automl.core.errors import ModelError
from automl.core.errors import unknown_name

if TYPE_CHECKING:
    import torch

__all__ = ["GraphNode", "ModelGraph", "Site", "TracedModel"]


@dataclass(frozen=True)
class GraphNode:
    """One operation.

    Args:
        name: name of the value it produces.
        op: short operator name: ``conv``, ``linear``, ``matmul``, ``embedding``, ``add``, ``mul``, ``relu``,
            ``clamp``, ``max_pool``, ``mean``, ``avg_pool``, ``flatten``, ``reshape``, ``transpose``,
            ``concat``, ``pad``, ``softmax``, ``layer_norm``, ``gelu``, ``input``, ``constant``, ``output``,
            or the ATen name.
        inputs: names of the values it reads, in order.
        shape: shape of the produced value with the example input, batch first.
        site: the site whose weight it applies, or None.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    site: str | None = None


@dataclass(frozen=True)
class Site:
    """A layer with a weight, where a precision (later sparsity, width) choice applies.

    Args:
        name: fully qualified module name, so its weight is ``name + '.weight'``.
        op: ``conv``, ``linear`` or ``embedding``.
        node: name of the graph node that applies it (the first one when it is applied more than once).
        weight_shape: shape of the weight, output channels first.
        groups: convolution groups, 1 otherwise.
        bias: whether a bias is added.
        macs: multiply-accumulates for one sample of the example input.
        rows: number of rows the weight multiplies for one sample (1 for a linear head, H*W for a conv).
        block: name of the repeated block it belongs to (``blocks.3.1``), empty when none.
    """

    name: str
    op: str
    node: str
    weight_shape: tuple[int, ...]
    groups: int
    bias: bool
    macs: int
    rows: int
    block: str = ""

    @property
    def n_weights(self) -> int:
        """Number of weights, bias excluded."""
        n = 1
        for size in self.weight_shape:
            n *= size
        return n

    @property
    def depthwise(self) -> bool:
        """Whether every group has one input channel."""
        return self.op == "conv" and self.groups > 1 and self.weight_shape[1] == 1


@dataclass(frozen=True)
class ModelGraph:
    """Nodes in execution order and the sites among them.

    Args:
        nodes: operations in execution order, inputs first.
        sites: sites in execution order.
        input_shapes: shapes of the example inputs, batch first.
        n_other_parameters: parameters that belong to no site (norms, positional tables), biases included.
    """

    nodes: tuple[GraphNode, ...]
    sites: tuple[Site, ...]
    input_shapes: tuple[tuple[int, ...], ...]
    n_other_parameters: int = 0

    @cached_property
    def node_by_name(self) -> dict[str, GraphNode]:
        """Nodes by name."""
        return {n.name: n for n in self.nodes}

    @cached_property
    def site_by_name(self) -> dict[str, Site]:
        """Sites by name."""
        return {s.name: s for s in self.sites}

    @cached_property
    def consumers(self) -> dict[str, tuple[str, ...]]:
        """Names of the nodes that read each value, in execution order."""
        readers: dict[str, list[str]] = {n.name: [] for n in self.nodes}
        for node in self.nodes:
            for value in dict.fromkeys(node.inputs):
                if value in readers:
                    readers[value].append(node.name)
        return {k: tuple(v) for k, v in readers.items()}

    def site(self, name: str) -> Site:
        """Return the site called ``name``.

        Raises:
            ModelError: there is none.
        """
        if name not in self.site_by_name:
            raise ModelError(unknown_name("site", name, self.site_by_name))
        return self.site_by_name[name]

    @cached_property
    def site_edges(self) -> tuple[tuple[str, str], ...]:
        """Pairs (producer site, consumer site) connected without another site between them, in order."""
        sources: dict[str, frozenset[str]] = {}
        edges: dict[tuple[str, str], None] = {}
        for node in self.nodes:
            incoming = frozenset().union(*(sources.get(i, frozenset()) for i in node.inputs))
            if node.site is not None:
                for producer in sorted(incoming):
                    edges[(producer, node.site)] = None
                sources[node.name] = frozenset({node.site})
            else:
                sources[node.name] = incoming
        return tuple(edges)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all sites for one sample."""
        return sum(s.macs for s in self.sites)

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that change with any node, shape or site (not with weight values)."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """Return the graph as JSON text."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ModelGraph:
        """Return the graph that :meth:`to_json` wrote.

        Raises:
            ValueError, KeyError, TypeError: the text is not such JSON.
        """
        stored = json.loads(text)
        nodes = [
            GraphNode(**{**n, "inputs": tuple(n["inputs"]), "shape": tuple(n["shape"])})
            for n in stored["nodes"]
        ]
        sites = [Site(**{**s, "weight_shape": tuple(s["weight_shape"])}) for s in stored["sites"]]
        shapes = tuple(tuple(shape) for shape in stored["input_shapes"])
        return cls(tuple(nodes), tuple(sites), shapes, stored["n_other_parameters"])


@dataclass(frozen=True, eq=False)
class TracedModel:
    """A model as the whole engine works on it: exported, batch norm folded, with its graph.

    Args:
        graph: nodes and sites.
        module: the folded ATen graph as a ``torch.fx.GraphModule`` in eval mode; the fx node that produces a
            value has the value's name. Never changed in place: copy before editing.
        program: the folded ``torch.export.ExportedProgram`` that ``module`` came from.
        example_inputs: the inputs it was traced with, batch first.
        dynamic_batch: whether the first dimension of inputs and outputs is symbolic.
    """

    graph: ModelGraph
    module: torch.fx.GraphModule
    program: torch.export.ExportedProgram
    example_inputs: tuple[torch.Tensor, ...]
    dynamic_batch: bool
