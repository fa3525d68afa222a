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
from contextlib import contextmanager
from typing import TYPE_CHECKING
from typing import Any

import torch
from torch import fx
from torch.export import Dim
from torch.onnx._internal.exporter import _decomp
from torch.onnx._internal.exporter import _registration

from automl.core.errors import ModelError
from automl.searchspaces.describe import ShapeRecorder
from automl.searchspaces.describe import describe
from automl.searchspaces.describe import output_tensors
from automl.searchspaces.fold import fold_batch_norm
from automl.searchspaces.fold import functional_ops
from automl.searchspaces.fold import linear_from_matmul
from automl.searchspaces.fold import mean_from_pool
from automl.searchspaces.fold import name_weights
from automl.searchspaces.graph import ModelGraph
from automl.searchspaces.graph import TracedModel
from automl.searchspaces.quiet import quiet
from automl.searchspaces.refusal import refusal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Sequence

    from torch import nn

__all__ = ["restore_traced", "trace_model"]

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
    shapes = ShapeRecorder(folded)
    with torch.no_grad():
        got = output_tensors(shapes.run(*example_inputs))
    _check_fold(expected, got)
    graph = describe(folded, shapes.shapes, example_inputs)
    return TracedModel(graph, folded, program, example_inputs, dynamic)


def restore_traced(
    module: nn.Module,
    example_inputs: tuple[torch.Tensor, ...],
    program: torch.export.ExportedProgram,
    graph: ModelGraph,
    *,
    dynamic_batch: bool,
) -> TracedModel:
    """Return the traced model of an earlier :func:`trace_model` from its stored program and graph.

    The stored program is believed only as far as it computes what ``module`` computes: its outputs on noisy
    example inputs are held against the module's with the tolerance of a fresh trace. (Noisy, since example
    inputs are often zeros, where different models agree.)

    Args:
        module: the model that was traced.
        example_inputs: tensors, batch first.
        program: the stored ``TracedModel.program``.
        graph: the stored ``TracedModel.graph``.
        dynamic_batch: as it was stored.

    Raises:
        ModelError: the program computes something else or cannot be compared with the module, so trace anew.
    """
    noise = torch.Generator().manual_seed(0)
    probe = tuple(
        t + torch.randn(t.shape, generator=noise) if t.is_floating_point() else t for t in example_inputs
    )
    with _evaluation_mode(module), quiet():
        expected = _reference_outputs(module, probe)
        folded = program.module(check_guards=False)
        _flatten(folded)
        with torch.no_grad():
            got = output_tensors(folded(*probe))
    _check_fold(expected, got)
    return TracedModel(graph, folded, program, example_inputs, dynamic_batch)


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


def _all_finite(tensor: torch.Tensor) -> bool:
    """Return whether no value is NaN or infinite, by the extremes: one pass, no mask of the tensor."""
    if not tensor.numel():
        return True
    values = tensor.detach()
    extremes = torch.aminmax(values.float() if values.element_size() == 1 else values)
    return bool(torch.isfinite(torch.stack(extremes)).all())


def _reference_outputs(
    module: nn.Module, example_inputs: tuple[torch.Tensor, ...]
) -> tuple[torch.Tensor, ...]:
    for name, tensor in module.named_parameters():
        if tensor.is_floating_point() and not _all_finite(tensor):
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
