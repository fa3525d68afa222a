"""Rewrite an exported graph so that every layer with a weight is one node with one weight: fold batch norm.

Works on the ATen graph, so it needs no knowledge of the module classes that produced it (timm's padded
convolutions, fused norm-activation modules, functional calls).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import torch
from torch import fx
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "CONV_OPS",
    "attribute",
    "fold_batch_norm",
    "functional_ops",
    "linear_from_matmul",
    "mean_from_pool",
    "name_weights",
]

aten: Any = torch.ops.aten

#: Overloads whose second argument is a convolution weight (out, in / groups, ...) and third an optional bias.
CONV_OPS = (
    aten.conv1d.default,
    aten.conv1d.padding,
    aten.conv2d.default,
    aten.conv2d.padding,
    aten.conv3d.default,
    aten.conv3d.padding,
)


def attribute(module: nn.Module, name: str) -> torch.Tensor:
    """Return the parameter or buffer at a dotted path."""
    owner, _, leaf = name.rpartition(".")
    value = getattr(module.get_submodule(owner), leaf)
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{name} is a {type(value).__name__}, not a tensor")
    return value


def _set_parameter(module: nn.Module, name: str, value: torch.Tensor) -> None:
    """Register a parameter at a dotted path, making the modules on the way."""
    *path, leaf = name.split(".")
    for part in path:
        if not isinstance(getattr(module, part, None), nn.Module):
            if hasattr(module, part):
                delattr(module, part)
            module.add_module(part, nn.Module())
        module = module.get_submodule(part)
    if hasattr(module, leaf):
        delattr(module, leaf)
    module.register_parameter(leaf, nn.Parameter(value.detach().contiguous(), requires_grad=True))


def _prune_attributes(gm: fx.GraphModule) -> None:
    """Erase get_attr nodes nobody reads, and the parameters and buffers nobody names."""
    for node in list(gm.graph.nodes):
        if node.op == "get_attr" and not node.users:
            gm.graph.erase_node(node)
    used = {n.target for n in gm.graph.nodes if n.op == "get_attr"}
    names = [n for n, _ in gm.named_parameters(remove_duplicate=False)]
    names += [n for n, _ in gm.named_buffers(remove_duplicate=False)]
    for name in names:
        if name not in used:
            owner, _, leaf = name.rpartition(".")
            delattr(gm.get_submodule(owner), leaf)
    gm.recompile()


def fold_batch_norm(gm: fx.GraphModule) -> int:
    """Fold every evaluation batch norm that alone reads a convolution or linear layer into that layer.

    The layer's new weight and bias are new parameters ``<layer>.weight`` and ``<layer>.bias``; tensors of the
    module that was exported are not written. Folding is done in float64. A batch norm elsewhere stays.

    Returns:
        The number of batch norms folded.
    """
    folded = 0
    for bn, layer in list(_foldable(gm)):
        path, dtype = layer.args[1].target, attribute(gm, layer.args[1].target).dtype
        weight, bias = _merged(gm, bn.args, layer.args)
        base = path.removesuffix("weight")
        name = f"{base}bias" if base.endswith(".") or not base else f"{path}_bias"
        _set_parameter(gm, path, weight.to(dtype))
        _set_parameter(gm, name, bias.to(dtype))
        with gm.graph.inserting_before(layer):
            new_bias = gm.graph.get_attr(name)
        layer.args = (*layer.args[:2], new_bias, *layer.args[3:])
        bn.replace_all_uses_with(layer)
        gm.graph.erase_node(bn)
        folded += 1
    _prune_attributes(gm)
    return folded


def _merged(
    gm: fx.GraphModule, norm: tuple[Any, ...], layer: tuple[Any, ...]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return weight and bias in float64 of the layer followed by the norm, both given by their arguments."""

    def read(node: Any, default: float) -> torch.Tensor:
        channels = attribute(gm, norm[3].target)
        return (
            torch.full_like(channels, default).double()
            if node is None
            else attribute(gm, node.target).double()
        )

    gamma, beta, mean, var = read(norm[1], 1.0), read(norm[2], 0.0), read(norm[3], 0.0), read(norm[4], 1.0)
    factor = gamma * torch.rsqrt(var + norm[7])
    weight = attribute(gm, layer[1].target).double()
    bias = read(layer[2] if len(layer) > 2 else None, 0.0)
    return weight * factor.view(-1, *[1] * (weight.dim() - 1)), (bias - mean) * factor + beta


def _foldable(gm: fx.GraphModule) -> Iterator[tuple[Any, Any]]:
    """Yield (batch norm, layer) pairs that can be merged without changing another reader."""
    nodes: list[Any] = list(gm.graph.nodes)
    for bn in nodes:
        if bn.target is not aten.batch_norm.default or bn.args[5]:
            continue
        layer = bn.args[0]
        if len(layer.users) != 1 or bn.args[3] is None:
            continue
        if layer.target is aten.linear.default:
            value = layer.meta.get("val")
            if value is None or value.dim() != 2:
                continue  # over (N, L, C) the norm's channels are L, not the layer's outputs
        elif layer.target not in CONV_OPS:
            continue
        weight, bias = layer.args[1], layer.args[2] if len(layer.args) > 2 else None
        constants = [weight, *bn.args[1:5], bias]
        if any(c is not None and c.op != "get_attr" for c in constants):
            continue
        if len(weight.users) == 1 and (bias is None or len(bias.users) == 1):
            yield bn, layer


def linear_from_matmul(gm: fx.GraphModule) -> int:
    """Rewrite ``x @ W`` and ``addmm(b, x, W)`` with a stored matrix as linear layers with ``W`` transposed.

    Layers written that way (GPT-2's) then look like every other: weight (out, in) at ``<layer>.weight``.

    Returns:
        The number of layers rewritten.
    """
    rewritten = 0
    nodes: list[Any] = list(gm.graph.nodes)
    for node in nodes:
        if node.target is aten.addmm.default and not node.kwargs:
            bias, value, weight = node.args
        elif node.target in (aten.matmul.default, aten.mm.default):
            bias, (value, weight) = None, node.args
        else:
            continue
        if weight.op != "get_attr" or len(weight.users) != 1 or (bias is not None and bias.op != "get_attr"):
            continue
        matrix = attribute(gm, weight.target)
        if matrix.dim() != 2 or value.op == "get_attr" or not isinstance(matrix, nn.Parameter):
            continue
        _set_parameter(gm, weight.target, matrix.t())
        with gm.graph.inserting_before(node):
            linear = gm.graph.call_function(aten.linear.default, (value, weight, bias))
        linear.meta = dict(node.meta)
        node.replace_all_uses_with(linear)
        gm.graph.erase_node(node)
        rewritten += 1
    gm.recompile()
    return rewritten


def mean_from_pool(gm: fx.GraphModule) -> int:
    """Rewrite adaptive average pooling to one cell as a mean, which ONNX export would do under another name.

    Returns:
        The number of poolings rewritten.
    """
    rewritten = 0
    for node in list(gm.graph.nodes):
        if node.target is aten.adaptive_avg_pool2d.default and tuple(_list(node.args[1])) in ((1,), (1, 1)):
            axes = [-2, -1]
        elif node.target is aten.adaptive_avg_pool1d.default and tuple(_list(node.args[1])) == (1,):
            axes = [-1]
        else:
            continue
        with gm.graph.inserting_before(node):
            mean = gm.graph.call_function(aten.mean.dim, (node.args[0], axes, True))
        mean.meta = dict(node.meta)
        node.replace_all_uses_with(mean)
        gm.graph.erase_node(node)
        rewritten += 1
    gm.recompile()
    return rewritten


def functional_ops(gm: fx.GraphModule) -> bool:
    """Rewrite in-place operations on values nobody else holds, and ``hardtanh`` as the ``clamp`` it becomes.

    Later passes are faster and keep their numbering when they start from a functional graph.

    Returns:
        Whether no in-place operation is left.
    """
    functional = True
    nodes: list[Any] = [n for n in gm.graph.nodes if isinstance(n.target, torch._ops.OpOverload)]
    for node in nodes:
        schema = node.target._schema
        if schema.is_mutable:
            packet = getattr(aten, schema.name.removeprefix("aten::").removesuffix("_"), None)
            twin = getattr(packet, node.target._overloadname, None)
            if twin is None or not _is_private(node.args[0]):
                functional = False
                continue
            node.target = twin
        if node.target is aten.hardtanh.default:
            bounds = [*node.args[1:], *[-1.0, 1.0][len(node.args) - 1 :]]
            node.target, node.args = aten.clamp.default, (node.args[0], *bounds)
    gm.recompile()
    return functional


def _is_private(value: Any) -> bool:
    """Whether ``value`` is a fresh tensor with one reader, so writing to it cannot be noticed."""
    if not isinstance(value, fx.Node) or len(value.users) != 1:
        return False
    if not isinstance(value.target, torch._ops.OpOverload):
        return False
    return all(r.alias_info is None for r in value.target._schema.returns)


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def name_weights(gm: fx.GraphModule) -> None:
    """Give every layer's weight a name that ends in ``.weight``, and a tensor with two names one of them.

    ``attn.in_proj_weight`` becomes ``attn.in_proj.weight``. A matrix that an embedding shares with a linear
    layer keeps the linear layer's name, so that the pair is one site.
    """
    owner: dict[int, str] = {}
    layers: list[Any] = [n for n in gm.graph.nodes if n.target in (*CONV_OPS, aten.linear.default)]
    tables: list[Any] = [n for n in gm.graph.nodes if n.target is aten.embedding.default]
    for node in layers + tables:
        weight = node.args[0] if node.target is aten.embedding.default else node.args[1]
        if weight.op != "get_attr":
            continue
        tensor = attribute(gm, weight.target)
        if id(tensor) in owner:
            weight.target = owner[id(tensor)]
            continue
        name = weight.target
        if name.rpartition(".")[2] != "weight" or "." not in name:
            name = f"{name.removesuffix('_weight') if name != '_weight' else name}.weight"
            _set_parameter(gm, name, tensor)
            for other in gm.graph.nodes:
                if other.op == "get_attr" and other.target == weight.target and other is not weight:
                    other.target = name
            weight.target = name
        owner[id(tensor)] = name
    _prune_attributes(gm)
