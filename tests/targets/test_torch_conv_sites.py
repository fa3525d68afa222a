from __future__ import annotations

import pytest
import torch
from torch import fx

from automl.targets.torch_conv_layers import ConvGeometry
from automl.targets.torch_conv_sites import conv_activation
from automl.targets.torch_conv_sites import geometry_of
from automl.targets.torch_conv_sites import pool_layer
from automl.targets.torch_conv_sites import without_padding

aten = torch.ops.aten


def _conv(*more: object, target=aten.conv2d.default, shape=(8, 4, 3, 2), before=None) -> fx.Node:
    """Return the node of a convolution of a placeholder, behind the operator ``before`` when given."""
    graph = fx.Graph()
    x = graph.placeholder("x")
    x = x if before is None else graph.call_function(before[0], (x, *before[1]))
    weight = graph.get_attr("c.weight")
    weight.meta["shape"] = shape
    return graph.call_function(target, (x, weight, None, *more))


def test_geometry_comes_from_the_arguments_or_their_defaults():
    plain = ConvGeometry((3, 2), (1, 1), (0, 0), (1, 1), 1)
    assert geometry_of(_conv()) == plain
    given = _conv([2, 1], [1, 0], [1, 2], 4)
    assert geometry_of(given) == ConvGeometry((3, 2), (2, 1), (1, 0), (1, 2), 4)
    whole = _conv([2, 2], [1, 1], [1, 1], False, [0, 0], 2, target=aten.convolution.default)
    assert geometry_of(whole) == ConvGeometry((3, 2), (2, 2), (1, 1), (1, 1), 2)


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_a_padding_by_name_is_that_of_torch(padding):
    geometry = geometry_of(_conv([1, 1], padding, [2, 1], 1, target=aten.conv2d.padding, shape=(8, 4, 3, 2)))
    x, w = torch.randn(1, 4, 7, 6), torch.randn(8, 4, 3, 2)
    expected = torch.nn.functional.conv2d(x, w, padding=padding, dilation=(2, 1))
    padded = torch.nn.functional.pad(x, geometry.sides)
    torch.testing.assert_close(torch.nn.functional.conv2d(padded, w, dilation=(2, 1)), expected)


def test_transposed_and_one_dimensional_ones_have_none():
    turned = _conv([1, 1], [0, 0], [1, 1], True, [0, 0], 1, target=aten.convolution.default)
    assert geometry_of(turned) is None
    assert geometry_of(_conv(shape=(8, 4, 3))) is None
    assert geometry_of(_conv(target=aten.linear.default)) is None


@pytest.mark.parametrize(
    ("before", "extra"),
    [
        ((aten.pad.default, ([0, 1, 2, 3], "constant", 0.0)), (0, 1, 2, 3)),
        ((aten.pad.default, ([0, 1, 2, 3],)), (0, 1, 2, 3)),
        ((aten.constant_pad_nd.default, ([1, 1, 0, 0], 0)), (1, 1, 0, 0)),
        ((aten.pad.default, ([0, 1, 0, 1], "reflect")), None),
        ((aten.pad.default, ([0, 1, 0, 1], "constant", 1.0)), None),
        ((aten.pad.default, ([0, 1],)), None),
        ((aten.pad.default, ([0, -1, 0, 0],)), None),
        ((aten.relu.default, ()), None),
    ],
)
def test_zeros_before_a_convolution_become_its_own(before, extra):
    node = _conv(before=before)
    pad, geometry = without_padding(node, geometry_of(node))
    assert pad is (None if extra is None else node.args[0])
    assert geometry.extra == (extra or (0, 0, 0, 0))


def test_activations_are_known_by_operator_and_bounds():
    graph = fx.Graph()
    x = graph.placeholder("x")
    named = {
        "relu": (aten.relu.default, (x,)),
        "relu6": (aten.clamp.default, (x, 0.0, 6.0)),
        "silu": (aten.silu.default, (x,)),
        "hardswish": (aten.hardswish.default, (x,)),
    }
    for name, (target, arguments) in named.items():
        assert conv_activation(graph.call_function(target, arguments)) == name
    assert conv_activation(graph.call_function(aten.relu6.default, (x,))) == "relu6"
    assert conv_activation(graph.call_function(aten.clamp.default, (x, 0.0, 1.0))) is None
    assert conv_activation(graph.call_function(aten.gelu.default, (x,))) is None


@pytest.mark.parametrize(
    "more", [([3, 3],), ([3, 2], [2, 1], [1, 1]), (2, 2, 0, 1, True), ([2, 2], [], [0, 0], [2, 1])]
)
def test_a_pool_of_codes_is_the_pool_of_their_numbers(more):
    graph = fx.Graph()
    layer = pool_layer(graph.call_function(aten.max_pool2d.default, (graph.placeholder("x"), *more)))
    codes = torch.randint(0, 256, (2, 3, 9, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    expected = aten.max_pool2d.default(codes.float(), *more)
    for given in (codes, codes.contiguous(memory_format=torch.channels_last)):
        assert torch.equal(layer(given).float(), expected)
    assert pool_layer(graph.call_function(aten.avg_pool2d.default, (next(iter(graph.nodes)), [2, 2]))) is None
