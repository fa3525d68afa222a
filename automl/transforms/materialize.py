"""Realize a quantization plan as an independent torch model with fake-quantized weights and values.

The result computes what the exported Q/DQ graph computes, up to the order of float accumulation: weights are
the dequantized codes in float32, and every planned read goes through ONNX's QuantizeLinear and
DequantizeLinear, ``scale * (clip(round_half_even(x / scale) + zero_point) - zero_point)``.

``float_type='bf16'`` is an approximation of what a runtime does in that mode: every site that is not
quantized gets its weight, input and output rounded to bfloat16 (products still accumulate in float32, as the
hardware does), and so do the values that leave quantized sites; element-wise operations between sites stay in
float32.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import torch
from torch import nn

from automl.core.errors import ModelError
from automl.core.errors import unknown_name

if TYPE_CHECKING:
    from torch import fx

    from automl.searchspaces.graph import ModelGraph
    from automl.searchspaces.graph import Site
    from automl.searchspaces.graph import TracedModel
    from automl.transforms.plan import ActivationQuantizer
    from automl.transforms.plan import QuantizationPlan
    from automl.transforms.plan import QuantizedWeight

_HEAD = ("placeholder", "get_attr")

__all__ = ["dequantize", "fake_quantize", "materialize", "round_bf16"]


def dequantize(weight: QuantizedWeight) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the float32 weight, codes x scale, in the shape of the codes."""
    codes = weight.codes.astype(np.float32)
    flat = codes.reshape(len(codes), -1)
    scale = weight.scale.reshape(len(codes), -1).astype(np.float32)
    if weight.group:
        scale = np.repeat(scale, weight.group, axis=1)[:, : flat.shape[1]]
    result: np.ndarray[Any, np.dtype[np.float32]] = (flat * scale).reshape(codes.shape)
    return result


def fake_quantize(x: torch.Tensor, scale: float, zero_point: int, bits: int = 8) -> torch.Tensor:
    """Round ``x`` to the grid of an :class:`ActivationQuantizer`, half to even as ONNX does.

    The division is a division (not a product with the inverse), in float32.
    """
    step = torch.tensor(scale, dtype=x.dtype)
    codes = torch.round(x / step).add_(zero_point).clamp_(0, 2**bits - 1)
    return codes.sub_(zero_point).mul_(step)


def round_bf16(x: torch.Tensor) -> torch.Tensor:
    """Round to bfloat16 and back."""
    return x.to(torch.bfloat16).to(x.dtype)


def materialize(traced: TracedModel, plan: QuantizationPlan) -> torch.fx.GraphModule:
    """Return an independent model that computes what the deployed candidate computes.

    Quantized reads of the same value by several consumers share one fake-quantize node when they share their
    quantizer. A tensor that several layers read (tied matrices) is replaced for all of them.

    Raises:
        ModelError: the plan names a site, value or consumer the model does not have, or a shape differs.
    """
    model: torch.fx.GraphModule = copy.deepcopy(traced.module)
    values = {_value_name(node): node for node in model.graph.nodes}
    for name, weight in plan.weights.items():
        _replace_weight(model, traced.graph.site(name), weight)
    shared: dict[tuple[Any, ...], Any] = {}
    for (value, consumer), quantizer in plan.edges.items():
        for name in (value, consumer):
            if name not in values:
                raise ModelError(unknown_name("value", name, values))
        if values[value] not in values[consumer].all_input_nodes:
            raise ModelError(f"the plan quantizes '{value}' for '{consumer}', which does not read it")
        quantized = _quantized(model, values[value], quantizer, shared)
        values[consumer].replace_input_with(values[value], quantized)
    if plan.float_type == "bf16":
        _simulate_bf16(model, traced.graph, plan, values)
    elif plan.float_type != "f32":
        raise ModelError(unknown_name("float type", plan.float_type, ("f32", "bf16")))
    for part in model.modules():
        part.training = False
    model.graph.lint()
    model.recompile()
    return model


def _value_name(node: fx.Node) -> str:
    return str(node.target) if node.op == "get_attr" else node.name


def _replace_weight(model: nn.Module, site: Site, weight: QuantizedWeight) -> None:
    owner = model.get_submodule(site.name)
    value = dequantize(weight)
    if value.shape != site.weight_shape:
        raise ModelError(
            f"site '{site.name}': its weight has shape {site.weight_shape}, the plan gives {value.shape}"
        )
    owner.register_parameter("weight", nn.Parameter(torch.from_numpy(value), requires_grad=False))
    if weight.bias is not None:
        if not site.bias:
            raise ModelError(
                f"site '{site.name}' adds no bias, but the plan corrects it; drop the correction"
            )
        owner.register_parameter(
            "bias", nn.Parameter(torch.from_numpy(weight.bias.copy()), requires_grad=False)
        )


def _quantized(
    model: torch.fx.GraphModule,
    value: Any,
    quantizer: ActivationQuantizer,
    shared: dict[tuple[Any, ...], Any],
) -> Any:
    """Return the node of ``value`` after ``quantizer``, made once for each pair."""
    numbers = (quantizer.scale, quantizer.zero_point, quantizer.bits)
    key = (value.name, *numbers)
    if key not in shared:
        # placeholders come first, and stay together
        after = (
            next(n for n in reversed(model.graph.nodes) if n.op == value.op) if value.op in _HEAD else value
        )
        with model.graph.inserting_after(after):
            shared[key] = model.graph.call_function(fake_quantize, (value, *numbers))
    return shared[key]


def _simulate_bf16(
    model: torch.fx.GraphModule, graph: ModelGraph, plan: QuantizationPlan, values: dict[str, Any]
) -> None:
    """Round weights, inputs and outputs of float sites, and outputs of quantized sites, to bfloat16."""
    for site in graph.sites:
        if site.name not in plan.weights:
            owner = model.get_submodule(site.name)
            rounded = round_bf16(owner.get_parameter("weight").detach())
            owner.register_parameter("weight", nn.Parameter(rounded, requires_grad=False))
    for node in graph.nodes:
        if node.site is None:
            continue
        layer = values[node.name]
        quantized_input = layer.args[0].target is fake_quantize if node.op != "embedding" else True
        if not quantized_input:
            with model.graph.inserting_before(layer):
                rounded_input = model.graph.call_function(round_bf16, (layer.args[0],))
            layer.args = (rounded_input, *layer.args[1:])
        with model.graph.inserting_after(layer):
            rounded_output = model.graph.call_function(round_bf16, (layer,))
        layer.replace_all_uses_with(rounded_output)
        rounded_output.args = (layer,)
