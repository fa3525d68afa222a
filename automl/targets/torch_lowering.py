"""Turn a program into a function: attention fused, layers on kernels, types settled, source generated."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING
from typing import Any

import torch
from torch import fx

from automl.targets.torch_attention import fuse_attention
from automl.targets.torch_devices import place_on
from automl.targets.torch_devices import waiting_node
from automl.targets.torch_half import to_half
from automl.targets.torch_layers import entry
from automl.targets.torch_sites import erase_unread
from automl.targets.torch_sites import place_layers

if TYPE_CHECKING:
    from collections.abc import Callable

    from automl.targets.torch_program import Program
    from automl.targets.torch_sites import Serving

__all__ = ["Lowered", "lower"]

aten: Any = torch.ops.aten

#: Checks of what tracing assumed; they compute nothing.
_CHECKS = ("_assert", "sym_constrain_range")

#: Numbers of the largest value that is computed in advance and kept.
_LARGEST_FOLDED = 1 << 20

#: The same operators, called without the detour over their schema.
_DIRECT: dict[Any, Any] = {
    aten.add.Tensor: torch.add,
    aten.mul.Tensor: torch.mul,
    aten.reshape.default: torch.reshape,
    aten.transpose.int: torch.transpose,
    aten.layer_norm.default: torch.layer_norm,
    aten.gelu.default: torch._C._nn.gelu,
    aten.relu.default: torch.relu,
    aten.softmax.int: torch.softmax,
    aten.matmul.default: torch.matmul,
    aten.scaled_dot_product_attention.default: torch._C._nn.scaled_dot_product_attention,
}


@dataclass(frozen=True, eq=False)
class Lowered:
    """A program ready to run.

    Args:
        run: takes the input tensors, returns a tensor or a tuple of them.
        graph: the lowered graph; ``get_attr`` and ``call_module`` targets are names in ``parts``.
        parts: tensors and layers' forward functions.
        waits: why the launches cannot be captured as a graph of the device, empty when nothing is known.
    """

    run: Callable[..., Any]
    graph: fx.Graph
    parts: dict[str, Any]
    waits: str = ""


def lower(program: Program, serving: Serving) -> Lowered:
    """Return the program ready to run; its graph is consumed.

    Raises:
        EvaluationError: the plan quantizes something that no layer serves.
    """
    graph = program.graph
    for node in reversed(list(graph.nodes)):
        if any(check in str(node.target) for check in _CHECKS) and not node.users:
            graph.erase_node(node)
        elif node.target is aten.view.default:
            node.target = aten.reshape.default  # A piece of a stacked product is not contiguous.
        elif node.target is aten.clone.default:
            # Nothing is written in place here, so a copy is needed for its order alone.
            node.target = aten.contiguous.default
    place_on(graph, serving.device)
    fuse_attention(graph)
    erase_unread(graph)
    layers = place_layers(program, serving)
    if serving.float_type is torch.bfloat16:
        to_half(graph)
    parts: dict[str, Any] = {name: entry(layer) for name, layer in layers.items()}
    parts |= _constants(graph, program, serving)
    _fold_constants(graph, parts)
    erase_unread(graph)
    graph.lint()
    waits = waiting_node(graph)
    return Lowered(_compiled(graph, parts), graph, parts, waits)


def _constants(graph: fx.Graph, program: Program, serving: Serving) -> dict[str, Any]:
    """Return the tensors that the graph reads, by new flat names, and cast constants in advance."""
    found: dict[str, Any] = {}
    names: dict[str, str] = {}
    for node in [n for n in graph.nodes if n.op == "get_attr"]:
        target = str(node.target)
        site = program.sites.get(target.removesuffix(".weight")) if target.endswith(".weight") else None
        if target not in names:
            names[target] = f"tensor_{len(names)}"
            tensor = program.tensors[target] if site is None else site.dequantized()
            found[names[target]] = tensor.to(serving.device)
        node.target = names[target]
    for node in [n for n in graph.nodes if n.meta.get("constant")]:
        source = node.args[0]
        name = f"{source.target}_half"
        found[name] = node.target(found[source.target], *node.args[1:])
        with graph.inserting_before(node):
            constant = graph.create_node("get_attr", name)
        constant.meta.update(node.meta, constant=False)
        node.replace_all_uses_with(constant)
    return found


def _fold_constants(graph: fx.Graph, parts: dict[str, Any]) -> None:
    """Compute in advance what reads constants alone, such as the positions of a text."""
    known = {n: parts[n.target] for n in graph.nodes if n.op == "get_attr"}
    for node in list(graph.nodes):
        inputs = node.all_input_nodes
        if node.op != "call_function" or not inputs or any(n not in known for n in inputs):
            continue
        value = node.target(
            *fx.node.map_arg(node.args, known.__getitem__), **fx.node.map_arg(node.kwargs, known.__getitem__)
        )
        if not isinstance(value, torch.Tensor) or value.numel() > _LARGEST_FOLDED:
            continue
        name = f"folded_{len(parts)}"
        parts[name] = value
        with graph.inserting_before(node):
            constant = graph.create_node("get_attr", name)
        constant.meta.update(node.meta)
        node.replace_all_uses_with(constant)
        known[constant] = value


def _compiled(graph: fx.Graph, parts: dict[str, Any]) -> Callable[..., Any]:
    """Return the generated function.

    It is called without the module around it, and with calls that parse their arguments fastest: with few
    rows, both take longer than the arithmetic.
    """
    for node in graph.nodes:
        node.target = _DIRECT.get(node.target, node.target) if node.op == "call_function" else node.target
    module = fx.GraphModule(torch.nn.Module(), fx.Graph())
    module.graph = graph
    forward, owner = type(module).forward, SimpleNamespace(**parts)

    def run(*inputs: torch.Tensor) -> Any:
        return forward(owner, *inputs)

    return run
