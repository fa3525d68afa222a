from __future__ import annotations

import pytest
import torch

from automl.targets.torch_conv_layers import SMALL
from automl.targets.torch_conv_layers import ConvGeometry
from automl.targets.torch_conv_layers import ConvLayer
from automl.targets.torch_conv_layers import FloatConv
from automl.targets.torch_conv_layers import small_conv


def _numbers(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize(
    ("stride", "padding", "dilation"),
    [((1, 1), (0, 0), (1, 1)), ((2, 1), (1, 2), (1, 1)), ((1, 2), (2, 2), (2, 1))],
)
def test_a_convolution_of_codes_is_the_product_over_its_windows(stride, padding, dilation):
    codes = torch.randint(-128, 128, (2, 3, 9, 8), generator=torch.Generator().manual_seed(0)).to(torch.int8)
    weight, zero = _numbers(5, 3, 3, 2), -7

    class Product(torch.nn.Module):
        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return (rows.float() - zero) @ weight.flatten(1).t()

    layer = ConvLayer(Product(), ConvGeometry((3, 2), stride, padding, dilation), zero)
    expected = torch.nn.functional.conv2d(codes.float() - zero, weight, None, stride, padding, dilation)
    torch.testing.assert_close(layer(codes), expected, rtol=1e-4, atol=1e-3)


def test_zeros_before_the_convolution_are_codes_too():
    codes = torch.randint(-128, 128, (1, 2, 5, 4), generator=torch.Generator().manual_seed(0)).to(torch.int8)
    weight, zero = _numbers(3, 2, 2, 2), 21

    class Product(torch.nn.Module):
        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return (rows.float() - zero) @ weight.flatten(1).t()

    geometry = ConvGeometry((2, 2), (1, 1), (1, 0), (1, 1), extra=(0, 2, 1, 0))
    assert geometry.sides == (0, 2, 2, 1)
    wide = torch.nn.functional.pad(codes.float() - zero, geometry.sides)
    expected = torch.nn.functional.conv2d(wide, weight)
    torch.testing.assert_close(ConvLayer(Product(), geometry, zero)(codes), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 1e-6), (torch.bfloat16, 0.01)])
@pytest.mark.parametrize("shape", [None, (2, 32, 28, 28), (2, 32, 4, 4)])
@pytest.mark.parametrize("activation", ["none", "relu", "relu6", "silu", "hardswish"])
def test_a_float_convolution_follows_that_of_torch(dtype, limit, shape, activation):
    functions = {"none": lambda y: y, "relu": torch.relu, "relu6": torch.nn.functional.relu6}
    functions |= {"silu": torch.nn.functional.silu, "hardswish": torch.nn.functional.hardswish}
    for groups in (1, 4, 32):
        w, b, x = _numbers(64, 32 // groups, 3, 3), _numbers(64), _numbers(*(shape or (2, 32, 9, 7)))
        geometry = ConvGeometry((3, 3), (2, 1), (1, 2), (1, 1), groups)
        expected = functions[activation](torch.nn.functional.conv2d(x, w, b, (2, 1), (1, 2), 1, groups))
        layer = FloatConv(w, b, geometry, dtype=dtype, activation=activation, shape=shape)
        y = layer(x.to(dtype))
        assert y.dtype == dtype
        assert (y.float() - expected).norm() < limit * expected.norm()


def test_small_means_dense_float32_and_few_products():
    weight, geometry = torch.empty(64, 64, 1, 1), ConvGeometry((1, 1), (1, 1), (0, 0), (1, 1))
    assert SMALL == 64 * 64 * 16 * 16
    assert small_conv(weight, geometry, torch.float32, (1, 64, 16, 16))
    assert not small_conv(weight, geometry, torch.float32, (2, 64, 16, 16))
    assert not small_conv(weight, geometry, torch.bfloat16, (1, 64, 16, 16))
    assert not small_conv(weight, geometry, torch.float32, None)
    deep = ConvGeometry((1, 1), (1, 1), (0, 0), (1, 1), groups=64)
    assert not small_conv(torch.empty(64, 1, 1, 1), deep, torch.float32, (1, 64, 4, 4))
