"""One export of a traced model to ONNX, with the map between the model graph's names and the ONNX graph's.

The base graph is exported once per model; :mod:`automl.targets.qdq` derives every candidate from it by an
edit, so pricing a candidate needs no new export. Large constants are kept beside the graph
(``BaseOnnx.constants``) and shared by all edits.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import torch
from onnx import numpy_helper
from onnxscript import optimizer

from automl.core.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.searchspaces.graph import ModelGraph
    from automl.searchspaces.graph import TracedModel

__all__ = ["OPSET", "BaseOnnx", "OnnxUse", "export_onnx"]

#: First opset whose DequantizeLinear takes blocks and int4; both runtimes read it.
OPSET = 21

#: Greatest finite bfloat16.
BFLOAT16_MAX = float(np.float32((2 - 2**-7) * 2.0**127))

#: Input position of the weight by ONNX operator.
_SLOTS = {"Conv": 1, "Gemm": 1, "MatMul": 1, "Gather": 0}

#: Constants up to this many elements stay in the skeleton (shapes, axes, scalars).
_INLINE_ELEMENTS = 64


@dataclass(frozen=True)
class OnnxUse:
    """One application of a site's weight.

    Args:
        node: name of the ONNX node that reads the weight.
        op: ``Conv``, ``Gemm``, ``MatMul`` or ``Gather``.
        weight: name of the constant it reads.
        slot: input position of the weight.
        transposed: whether that constant holds the weight with its two axes exchanged, (in, out).
        bias: name of the bias constant, or None.
        bias_node: node that reads the bias (the ``Conv``/``Gemm`` itself, or the ``Add`` after a ``MatMul``).
        reader: model-graph node of this application.
    """

    node: str
    op: str
    weight: str
    slot: int
    transposed: bool
    bias: str | None
    bias_node: str | None
    reader: str


@dataclass(frozen=True, eq=False)
class BaseOnnx:
    """The exported float graph, without its large constants.

    Args:
        skeleton: the graph with every node and the small constants; never changed in place.
        constants: large constants by name; a site's weight as the graph reads it.
        uses: applications of each site, in execution order, by site name.
        values: model-graph value name -> ONNX value name.
        members: model-graph node name -> names of the ONNX nodes that compute it.
        unresolved: model-graph values without a counterpart in the ONNX graph; no quantizer fits there.
        dynamic_batch: whether the first dimension is symbolic.
        tensors: constants already serialized.
    """

    skeleton: onnx.ModelProto
    constants: Mapping[str, NDArray[Any]]
    uses: Mapping[str, tuple[OnnxUse, ...]]
    values: Mapping[str, str]
    members: Mapping[str, tuple[str, ...]]
    unresolved: tuple[str, ...]
    dynamic_batch: bool
    tensors: dict[str, onnx.TensorProto] = field(default_factory=dict, repr=False)

    def tensor(self, name: str) -> onnx.TensorProto:
        """Return a constant as a tensor, serialized once and then shared."""
        if name not in self.tensors:
            self.tensors[name] = numpy_helper.from_array(np.ascontiguousarray(self.constants[name]), name)
        return self.tensors[name]

    def to_model(self) -> onnx.ModelProto:
        """Return the complete float model, a new object."""
        model = onnx.ModelProto()
        model.CopyFrom(self.skeleton)
        model.graph.initializer.extend(self.tensor(name) for name in self.constants)
        return model


def export_onnx(traced: TracedModel) -> BaseOnnx:
    """Export ``traced`` once and map its names.

    Args:
        traced: the folded program; its weights are copied into the constants.

    Returns:
        The base graph at opset :data:`OPSET`.

    Raises:
        ModelError: the exporter refuses an operator, or a site's weight is not found in the exported graph.
    """
    try:
        exported = torch.onnx.export(
            traced.program, dynamo=True, opset_version=OPSET, optimize=False, verbose=False
        )
    except torch.onnx.errors.OnnxExporterError as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise ModelError(
            f"the model cannot be exported to ONNX: {reason}; replace the operator or choose another target"
        ) from error
    if exported is None or exported.exported_program is None:
        raise ModelError("the model cannot be exported to ONNX: the exporter returned nothing")
    renamed = _renamed(exported.exported_program)
    model = exported.model
    optimizer.inline(model)
    optimizer.fold_constants(model, input_size_limit=4096, output_size_limit=1 << 20)
    ir.passes.common.RemoveUnusedNodesPass()(model)
    for node in model.graph.all_nodes():
        node.metadata_props.clear()
        node.doc_string = None
    proto = ir.to_proto(model)
    del proto.graph.value_info[:]
    _name_nodes(proto.graph)
    _bound_constants(proto.graph)
    constants = _extract_constants(proto.graph)
    _fold_transposes(proto.graph, constants)
    return _index(traced, proto, constants, renamed)


def _bound_constants(graph: onnx.GraphProto) -> None:
    """Clip finite constants to what bfloat16 can hold.

    Attention masks are made with the least float32, which bfloat16 rounds to minus infinity; times zero, for
    positions that are not masked, that is NaN. Within float32 both mask alike.
    """
    stored = [a.t for n in graph.node if n.op_type == "Constant" for a in n.attribute if a.name == "value"]
    for tensor in (*stored, *graph.initializer):
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        array = numpy_helper.to_array(tensor)
        if np.any(np.isfinite(array) & (np.abs(array) > BFLOAT16_MAX)):
            bounded = np.where(np.isfinite(array), np.clip(array, -BFLOAT16_MAX, BFLOAT16_MAX), array)
            tensor.CopyFrom(numpy_helper.from_array(bounded.astype(np.float32), tensor.name))


def _renamed(program: torch.export.ExportedProgram) -> dict[str, str]:
    """Map names of the traced program to those after the exporter's decompositions (the last node wins)."""
    names: dict[str, str] = {}
    for node in program.graph.nodes:
        for source in node.meta.get("from_node", ())[-1:]:
            names[source.name] = node.name
    return names


def _name_nodes(graph: onnx.GraphProto) -> None:
    seen: set[str] = set()
    for index, node in enumerate(graph.node):
        if not node.name or node.name in seen:
            node.name = f"node_{index}_{node.op_type}"
        seen.add(node.name)


def _extract_constants(graph: onnx.GraphProto) -> dict[str, NDArray[Any]]:
    """Take the large initializers out of the graph."""
    constants: dict[str, NDArray[Any]] = {}
    small = []
    for tensor in graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.size > _INLINE_ELEMENTS or array.dtype == np.float32:
            constants[tensor.name] = array
        else:
            small.append(tensor)
    kept = [onnx.TensorProto.FromString(t.SerializeToString()) for t in small]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return constants


def _fold_transposes(graph: onnx.GraphProto, constants: dict[str, NDArray[Any]]) -> None:
    """Replace ``Transpose(constant)`` by a constant, so that a matrix weight is read directly."""
    kept = []
    for node in graph.node:
        if node.op_type == "Transpose" and node.input[0] in constants:
            perm = next((list(a.ints) for a in node.attribute if a.name == "perm"), None)
            constants[node.output[0]] = np.ascontiguousarray(constants[node.input[0]].transpose(perm))
        else:
            kept.append(onnx.NodeProto.FromString(node.SerializeToString()))
    del graph.node[:]
    graph.node.extend(kept)
    used = {name for node in kept for name in node.input} | {o.name for o in graph.output}
    for name in [n for n in constants if n not in used]:
        del constants[name]


def _index(
    traced: TracedModel,
    proto: onnx.ModelProto,
    constants: dict[str, NDArray[Any]],
    renamed: Mapping[str, str],
) -> BaseOnnx:
    graph = proto.graph
    producer = {output: node for node in graph.node for output in node.output}
    known = set(producer) | {i.name for i in graph.input}
    values: dict[str, str] = {}
    inputs = iter(i.name for i in graph.input)
    for node in traced.graph.nodes:
        if node.op == "input":
            values[node.name] = next(inputs)
        elif node.shape and renamed.get(node.name, node.name) in known:
            values[node.name] = renamed.get(node.name, node.name)
    boundary = set(values.values())
    members = {name: _members(value, producer, boundary) for name, value in values.items()}
    new_names = _value_names(graph, members)
    members = {name: tuple(new_names[m] for m in nodes) for name, nodes in members.items()}
    by_name = {n.name: n for n in graph.node}
    uses: dict[str, tuple[OnnxUse, ...]] = {}
    for site in traced.graph.sites:
        found = []
        for node in traced.graph.nodes:
            if node.site != site.name:
                continue
            if node.name not in values:
                raise ModelError(f"site {site.name}: value '{node.name}' is not in the exported ONNX graph")
            inside = [by_name[m] for m in members[node.name]]
            found.append(_locate(site.name, site.weight_shape, node.name, inside, constants))
        uses[site.name] = tuple(found)
    _alias_copies(traced.graph, values, members)
    unresolved = tuple(
        n.name for n in traced.graph.nodes if n.name not in values and n.op not in ("constant", "output")
    )
    return BaseOnnx(proto, constants, uses, values, members, unresolved, traced.dynamic_batch)


def _alias_copies(graph: ModelGraph, values: dict[str, str], members: dict[str, tuple[str, ...]]) -> None:
    """Let a copy stand for what it copies: the exporter leaves copies out, but quantizers may sit on them."""
    for node in graph.nodes:
        if node.op == "clone" and node.name not in values and node.inputs[0] in values:
            values[node.name], members[node.name] = values[node.inputs[0]], ()


def _value_names(graph: onnx.GraphProto, members: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Name every node after the model-graph value it computes, so that a runtime's profile can be read.

    The node that produces value ``v`` becomes ``v``, the nodes before it ``v/1``, ``v/2`` and so on.
    """
    new_names: dict[str, str] = {}
    for value, nodes in members.items():
        for position, node in enumerate(reversed(nodes)):
            new_names.setdefault(node, value if position == 0 else f"{value}/{position}")
    for node in graph.node:
        node.name = new_names.setdefault(node.name, f"constant/{node.name}")
    return new_names


def _members(value: str, producer: Mapping[str, onnx.NodeProto], boundary: set[str]) -> tuple[str, ...]:
    """Names of the nodes between ``value`` and the values the model graph knows, nearest last."""
    names: list[str] = []
    stack = [value]
    while stack:
        current = stack.pop()
        node = producer.get(current)
        if node is None or node.name in names:
            continue
        names.append(node.name)
        stack.extend(i for i in node.input if i not in boundary)
    return tuple(reversed(names))


def _locate(
    site: str,
    shape: tuple[int, ...],
    reader: str,
    inside: Sequence[onnx.NodeProto],
    constants: Mapping[str, NDArray[Any]],
) -> OnnxUse:
    """Find the node, weight and bias of one application of a site among the ONNX nodes ``inside``."""
    core = next((n for n in inside if n.op_type in _SLOTS and n.input[_SLOTS[n.op_type]] in constants), None)
    if core is None:
        raise ModelError(f"site {site}: no multiplication by a constant weight in the exported ONNX graph")
    slot = _SLOTS[core.op_type]
    bias, bias_node = None, None
    if core.op_type in ("Conv", "Gemm") and len(core.input) > 2:
        bias, bias_node = core.input[2], core.name
    for add in inside:
        constant = next((i for i in add.input if i in constants), None)
        if add.op_type == "Add" and core.output[0] in add.input and constant is not None:
            bias, bias_node = constant, add.name
    transposed = core.op_type == "MatMul" or (
        core.op_type == "Gemm" and not any(a.name == "transB" and a.i for a in core.attribute)
    )
    stored = constants[core.input[slot]].shape
    if stored != (tuple(reversed(shape)) if transposed else shape):
        raise ModelError(
            f"site {site}: exported weight has shape {stored} instead of {shape}; try another torch version"
        )
    return OnnxUse(core.name, core.op_type, core.input[slot], slot, transposed, bias, bias_node, reader)
