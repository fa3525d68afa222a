"""What the graph around a convolution says: its geometry, the padding before it, what follows it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from typing import Any

import torch

from automl.targets.torch_conv_layers import ConvGeometry
from automl.transforms.kernel_convs import MaxPoolCodes

if TYPE_CHECKING:
    from torch import fx

__all__ = ["conv_activation", "geometry_of", "pool_layer", "without_padding"]

aten: Any = torch.ops.aten

_ACTIVATIONS = {
    aten.relu.default: "relu",
    aten.relu6.default: "relu6",
    aten.silu.default: "silu",
    aten.hardswish.default: "hardswish",
}
_PADS = (aten.pad.default, aten.constant_pad_nd.default)


def geometry_of(node: fx.Node) -> ConvGeometry | None:
    """Return the geometry of a two-dimensional convolution, None of anything else."""
    if node.target not in (aten.conv2d.default, aten.conv2d.padding, aten.convolution.default):
        return None
    weight: Any = node.args[1]
    defaults: dict[int, Any] = {3: [1, 1], 4: [0, 0], 5: [1, 1]}
    stride, padding, dilation = (node.args[i] if len(node.args) > i else v for i, v in defaults.items())
    last = 8 if node.target is aten.convolution.default else 6
    groups: Any = node.args[last] if len(node.args) > last else 1
    turned = node.target is aten.convolution.default and bool(node.args[6])
    shape = weight.meta.get("shape")
    if turned or node.kwargs or shape is None or len(shape) != 4:
        return None
    window, stride, dilation = _pair(shape[2:]), _pair(stride), _pair(dilation)
    if not isinstance(padding, str):
        return ConvGeometry(window, stride, _pair(padding), dilation, int(groups))
    high, wide = (d * (w - 1) if padding == "same" else 0 for w, d in zip(window, dilation, strict=True))
    # Of an odd number of zeros, the larger part comes behind the map.
    extra = (0, wide % 2, 0, high % 2)
    return ConvGeometry(window, stride, (high // 2, wide // 2), dilation, int(groups), extra)


def _pair(value: Any) -> tuple[int, int]:
    numbers = [value, value] if isinstance(value, int) else list(value)
    return int(numbers[0]), int(numbers[-1])


def without_padding(node: fx.Node, geometry: ConvGeometry) -> tuple[fx.Node | None, ConvGeometry]:
    """Return the padding with zeros that a convolution reads, None without one, and the geometry with it."""
    pad: Any = node.args[0]
    if pad.target not in _PADS or pad.kwargs:
        return None, geometry
    sides, *rest = pad.args[1:]
    if pad.target is aten.pad.default:
        mode, fill = (rest or ["constant"])[0], rest[1:]
    else:
        mode, fill = "constant", rest
    if mode != "constant" or len(sides) != 4 or any(not isinstance(s, int) or s < 0 for s in sides):
        return None, geometry
    if fill and fill[0] not in (0, None):
        return None, geometry
    left, right, top, bottom = (a + b for a, b in zip(sides, geometry.extra, strict=True))
    return pad, replace(geometry, extra=(left, right, top, bottom))


def conv_activation(node: fx.Node) -> str | None:
    """Return the name of an activation that a convolution can take in, or None."""
    if node.kwargs:
        return None
    if node.target is aten.clamp.default and tuple(node.args[1:]) == (0.0, 6.0):
        return "relu6"
    return _ACTIVATIONS.get(node.target)


def pool_layer(node: fx.Node) -> MaxPoolCodes | None:
    """Return the layer that pools codes as ``node`` pools numbers, or None when it does something else."""
    if node.target is not aten.max_pool2d.default or node.kwargs:
        return None
    window = _pair(node.args[1])
    stride: Any = node.args[2] if len(node.args) > 2 else ()
    padding, dilation = (_pair(node.args[i] if len(node.args) > i else v) for i, v in ((3, 0), (4, 1)))
    ceil = bool(node.args[5]) if len(node.args) > 5 else False
    return MaxPoolCodes(window, _pair(stride) if stride else window, padding, dilation, ceil)
