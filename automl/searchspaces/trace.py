"""Trace a torch module: export it, fold batch norm, and describe the result as a :class:`ModelGraph`.

The steps are torch.export (training IR), the rewrites of :mod:`automl.searchspaces.fold`, a second export of
the rewritten graph, and ``run_decompositions`` with the table ``torch.onnx.export`` itself uses: it makes the
graph functional (no in-place operations, no dropout), keeps composite operators (linear, conv2d, layer_norm,
gelu, scaled_dot_product_attention) whole, and splits what has no ONNX counterpart. It runs again when the
graph was not functional before, because only then has the numbering settled. After that
``torch.onnx.export(program, dynamo=True)`` gives every single-tensor node's value the node's name and every
parameter its fully qualified name. Nodes that give several tensors (``unbind``, ``split``) have no such
value; their ``getitem`` readers do.
"""

from __future__ import annotations

import inspect
import math
import operator
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING
from typing import Any

import torch
from torch import fx
from torch.export import Dim
from torch.onnx._internal.exporter import _decomp
from torch.onnx._internal.exporter import _registration

from automl.core.errors import ModelError
from automl.searchspaces.fold import CONV_OPS
from automl.searchspaces.fold import attribute
from automl.searchspaces.fold import fold_batch_norm
from automl.searchspaces.fold import functional_ops
from automl.searchspaces.fold import linear_from_matmul
from automl.searchspaces.fold import mean_from_pool
from automl.searchspaces.fold import name_weights
from automl.searchspaces.graph import GraphNode
from automl.searchspaces.graph import ModelGraph
from automl.searchspaces.graph import Site
from automl.searchspaces.graph import TracedModel
from automl.searchspaces.quiet import quiet
from automl.searchspaces.refusal import refusal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Sequence

    from torch import nn

__all__ = ["output_tensors", "trace_model"]

aten: Any = torch.ops.aten

#: Largest difference between the original and the folded outputs, relative to the largest output.
FOLD_TOLERANCE = 1e-4

#: What torch.export raises for a model it cannot take, and what a forward raises for inputs that do not fit.
EXPORT_ERRORS = (
    RuntimeError,
    TypeError,
    ValueError,
    AttributeError,
    LookupError,
    AssertionError,
    NotImplementedError,
)

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


def trace_model(
    module: nn.Module, example_inputs: tuple[torch.Tensor, ...], *, dynamic_batch: bool = True
) -> TracedModel:
    """Export ``module``, fold batch norm and describe it.

    Args:
        module: any module that torch.export takes; its outputs are tensors, batch first. It is traced in
            evaluation mode and left as it was.
        example_inputs: tensors, batch first.
        dynamic_batch: ask for a symbolic batch; a model that fixes its batch is exported for the example's.

    Returns:
        The traced model. A node's name is its fx name; a constant's is its fully qualified name. A tensor
        that several layers share is one site, the linear layer when one of them is an embedding: every
        reader then sees the same quantized numbers, and its bytes count once.

    Raises:
        ModelError: export refuses the model, weights or outputs are not finite, or the folded graph disagrees
            with the original by more than ``FOLD_TOLERANCE``.
    """
    with _evaluation_mode(module), quiet():
        expected = _reference_outputs(module, example_inputs)
        program, dynamic = _export_either(module, example_inputs, dynamic_batch)
        gm = program.module(check_guards=False)
        linear_from_matmul(gm)
        mean_from_pool(gm)
        fold_batch_norm(gm)
        name_weights(gm)
        functional = functional_ops(gm)
        _flatten(gm)
        program, dynamic = _export_either(gm, example_inputs, dynamic)
        try:
            table = _decompositions()
            program = program.run_decompositions(table)
            if not functional:
                program = program.run_decompositions(table)
        except EXPORT_ERRORS as error:
            raise refusal(error) from error
        folded = program.module(check_guards=False)
        _flatten(folded)
    shapes = _Shapes(folded)
    with torch.no_grad():
        got = output_tensors(shapes.run(*example_inputs))
    _check_fold(expected, got)
    graph = _describe(folded, shapes.shapes, example_inputs)
    return TracedModel(graph, folded, program, example_inputs, dynamic)


def _decompositions() -> dict[Any, Any]:
    """Return the decomposition table of ``torch.onnx.export``; torch offers no public function for it."""
    registry = _registration.ONNXRegistry().from_torchlib()
    return _decomp.create_onnx_friendly_decomposition_table(
        set(_decomp.get_onnx_implemented_overloads(registry))
    )


def _flatten(gm: fx.GraphModule) -> None:
    """Make the forward take its tensors by position and return one tensor, or a flat tuple of several."""
    gm.graph.set_codegen(fx.graph.CodeGen())
    for node in gm.graph.nodes:
        if node.op == "placeholder":
            node.target = node.name
    node = gm.graph.output_node()
    leaves = torch.utils._pytree.tree_leaves(node.args, is_leaf=lambda x: isinstance(x, fx.Node))
    tensors = tuple(leaf for leaf in leaves if isinstance(leaf, fx.Node))
    node.args = (tensors[0] if len(tensors) == 1 else tensors,)
    for part in gm.modules():
        part.training = False
    gm.recompile()


def output_tensors(outputs: Any) -> tuple[torch.Tensor, ...]:
    """Return the tensors in a model's output, a tensor or nested tuples, lists and dicts, in order."""
    leaves = torch.utils._pytree.tree_leaves(outputs)
    return tuple(leaf for leaf in leaves if isinstance(leaf, torch.Tensor))


@contextmanager
def _evaluation_mode(module: nn.Module) -> Iterator[None]:
    training = [m for m in module.modules() if m.training]
    # Not module.eval(): an exported program's module refuses it, and is in evaluation mode already.
    for part in training:
        part.training = False
    try:
        yield
    finally:
        for part in training:
            part.training = True


def _reference_outputs(
    module: nn.Module, example_inputs: tuple[torch.Tensor, ...]
) -> tuple[torch.Tensor, ...]:
    for name, tensor in module.named_parameters():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ModelError(f"weight '{name}' holds NaN or infinite values; give finite weights")
    try:
        with torch.no_grad():
            outputs = output_tensors(module(*example_inputs))
    except EXPORT_ERRORS as error:
        shapes = ", ".join("x".join(map(str, t.shape)) for t in example_inputs)
        raise ModelError(
            f"the model does not run on inputs of shape {shapes} ({_first_line(error)}); "
            "give the shape it takes with --input"
        ) from error
    if not outputs:
        raise ModelError("the model returns no tensor; wrap it so that forward returns its logits")
    if any(t.is_floating_point() and not torch.isfinite(t).all() for t in outputs):
        raise ModelError(
            "the model's outputs hold NaN or infinite values on the example input; check its weights"
        )
    return outputs


def _export_either(
    module: nn.Module, inputs: tuple[torch.Tensor, ...], dynamic_batch: bool
) -> tuple[torch.export.ExportedProgram, bool]:
    """Export with a symbolic batch when asked and possible, else for the example's batch."""
    if dynamic_batch:
        # a size of one is specialized by export, so trace with two samples
        wide = tuple(torch.cat([t, t]) if t.shape[0] == 1 else t for t in inputs)
        batch = Dim("batch", min=1, max=65536)
        try:
            return torch.export.export(module, wide, dynamic_shapes=_spec(module, wide, batch)), True
        except EXPORT_ERRORS:
            pass  # the reason, if it is not the batch, is raised by the static export below
    try:
        return torch.export.export(module, inputs), False
    except EXPORT_ERRORS as error:
        raise refusal(error) from error


def _spec(module: nn.Module, inputs: tuple[torch.Tensor, ...], batch: Any) -> Any:
    """Return dynamic shapes in the nesting export wants for this forward: ``*args`` are one tuple."""
    shapes = [{0: batch} for _ in inputs]
    kinds = [p.kind for p in inspect.signature(module.forward).parameters.values()]
    named = (
        kinds.index(inspect.Parameter.VAR_POSITIONAL) if inspect.Parameter.VAR_POSITIONAL in kinds else None
    )
    return tuple(shapes) if named is None else (*shapes[:named], tuple(shapes[named:]))


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:240]


class _Shapes(fx.Interpreter):
    """Run the graph once and keep the shape of every value."""

    def __init__(self, gm: fx.GraphModule) -> None:
        super().__init__(gm)
        self.shapes: dict[str, tuple[int, ...] | None] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, torch.Tensor):
            self.shapes[n.name] = tuple(result.shape)
        elif output_tensors(result):
            self.shapes[n.name] = ()
        return result


def _check_fold(expected: Sequence[torch.Tensor], got: Sequence[torch.Tensor]) -> None:
    if len(expected) != len(got):
        raise ModelError(
            f"the exported model gives {len(got)} outputs where the original gives {len(expected)}"
        )
    for a, b in zip(expected, got, strict=True):
        scale = max(float(a.double().abs().max()), 1e-12) if a.numel() else 1.0
        gap = float((a.double() - b.double()).abs().max()) / scale if a.numel() else 0.0
        if not gap <= FOLD_TOLERANCE:
            raise ModelError(
                f"the exported model differs from the original by {gap:.2g} of the largest output, allowed "
                f"is {FOLD_TOLERANCE:g}; check that its forward does the same every time it is called"
            )


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


def _describe(
    gm: fx.GraphModule, shapes: dict[str, tuple[int, ...] | None], inputs: tuple[torch.Tensor, ...]
) -> ModelGraph:
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
