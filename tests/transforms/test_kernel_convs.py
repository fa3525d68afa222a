from __future__ import annotations

import pytest
import torch

from automl.core.errors import KernelError
from automl.transforms.kernel_convs import MapCodes
from automl.transforms.kernel_convs import NumbersOfCodes
from automl.transforms.kernel_convs import W8A8Conv
from automl.transforms.materialize import fake_quantize


def _numbers(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def _codes(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(sum(shape))).to(torch.uint8)


@pytest.mark.parametrize("shape", [(1, 3, 5, 7), (2, 16, 60, 50)])
@pytest.mark.parametrize("zero", [0, 77, 255])
def test_codes_of_a_map_are_those_of_the_simulation_in_channels_last(shape, zero):
    x = _numbers(*shape) * 3
    x[0, 0, 0, :3] = torch.tensor([torch.nan, torch.inf, -torch.inf])
    layer = MapCodes(0.03, zero)
    for given in (
        x,
        x.contiguous(memory_format=torch.channels_last),
        x.transpose(2, 3).contiguous().transpose(2, 3),
    ):
        codes = layer(given)
        assert codes.dtype == torch.uint8
        assert codes.is_contiguous(memory_format=torch.channels_last)
        numbers = NumbersOfCodes(0.03, zero)(codes)
        assert torch.equal(numbers[0, 0, 0, :1], torch.zeros(1))
        assert torch.equal(numbers[~x.isnan()], fake_quantize(x, 0.03, zero)[~x.isnan()])


def test_numbers_of_codes_take_the_type_that_is_asked_for():
    numbers = NumbersOfCodes(0.5, 3, torch.bfloat16)(torch.tensor([3, 4, 0], dtype=torch.uint8))
    assert numbers.dtype == torch.bfloat16
    assert numbers.tolist() == [0.0, 0.5, -1.5]


def test_a_layer_of_codes_computes_the_convolution_of_their_numbers():
    x, scale, bias = _codes(2, 8, 9, 7), torch.rand(12) * 0.01 + 0.001, _numbers(12)
    weight = torch.randint(-127, 128, (12, 8, 3, 3), generator=torch.Generator().manual_seed(1)).to(
        torch.int8
    )
    numbers = NumbersOfCodes(0.02, 100)(x)
    floats = weight.float() * scale.reshape(-1, 1, 1, 1)
    sides = (0, 1, 2, 0)
    expected = torch.nn.functional.conv2d(
        torch.nn.functional.pad(numbers, sides), floats, bias, (2, 1)
    ).relu()
    layer = W8A8Conv(
        weight,
        scale,
        bias,
        x_codes=(0.02, 100),
        stride=(2, 1),
        padding=sides,
        activation="relu",
        shape=x.shape,
    )
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(layer.entry(x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("owns", [False, True])
def test_a_residual_is_overwritten_only_by_its_owner(owns):
    x, residual = _codes(1, 4, 6, 5), _codes(1, 4, 6, 5).contiguous(memory_format=torch.channels_last)
    layer = W8A8Conv(
        torch.eye(4).mul(64).to(torch.int8).reshape(4, 4, 1, 1),
        torch.full((4,), 1 / 64),
        None,
        x_codes=(0.5, 10),
        out_codes=(1.0, 20),
        residual_codes=(0.25, 30),
    )
    layer.owns_residual = owns
    before = residual.clone()
    y = layer.entry(x, residual)
    exact = (x.double() - 10) * 0.5 + (before.double() - 30) * 0.25
    assert torch.equal(y.double(), exact.round().add(20).clamp(0, 255))
    assert torch.equal(residual, before) is not owns
    assert owns == torch.equal(residual, y)


@pytest.mark.parametrize("bad", [0.0, float("nan"), float("inf")])
def test_a_static_step_must_be_positive_and_finite(bad):
    with pytest.raises(KernelError, match="kernel 'w8a8_conv' got a static step of"):
        MapCodes(bad, 0)
    with pytest.raises(KernelError, match="calibrate the range again"):
        W8A8Conv(
            torch.ones(1, 1, 1, 1, dtype=torch.int8),
            torch.ones(1),
            None,
            x_codes=(1.0, 0),
            out_codes=(bad, 0),
        )
