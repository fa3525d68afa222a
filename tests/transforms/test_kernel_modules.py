from __future__ import annotations

import pytest
import torch

from automl.core.errors import KernelError
from automl.kernels.native.library import WAYS
from automl.kernels.native.library import using
from automl.transforms.kernel_modules import W4A16Linear
from automl.transforms.kernel_modules import W8A8Linear


def _layer(bias: bool = True) -> torch.nn.Linear:
    layer = torch.nn.Linear(64, 32, bias=bias)
    g = torch.Generator().manual_seed(0)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(32, 64, generator=g) * 0.1)
        if bias:
            layer.bias.copy_(torch.randn(32, generator=g))
    return layer


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("options", "limit"),
    [({}, 0.02), ({"granularity": "tensor"}, 0.02), ({"x_scale": 3.5 / 127}, 0.02)],
)
def test_int8_layers_follow_the_float_layer(bias, options, limit):
    layer, x = (
        _layer(bias),
        torch.randn(2, 5, 64, generator=torch.Generator().manual_seed(1)).clamp(-3.5, 3.5),
    )
    y, exact = W8A8Linear.of(layer, **options)(x), layer(x)
    assert y.shape == exact.shape
    assert y.dtype == exact.dtype
    assert (y - exact).norm() < limit * exact.norm()


def test_the_activation_is_fused():
    layer, x = _layer(), torch.randn(5, 64, generator=torch.Generator().manual_seed(1))
    plain = W8A8Linear.of(layer)(x)
    assert torch.allclose(W8A8Linear.of(layer, activation="relu")(x), plain.relu(), atol=1e-6)


@pytest.mark.parametrize("rows", [1, 40])
def test_four_bit_layers_follow_the_rounded_weight(rows):
    layer, x = _layer(), torch.randn(rows, 64, generator=torch.Generator().manual_seed(1))
    y = W4A16Linear.of(layer, rows=rows)(x)
    steps = layer.weight.reshape(32, 1, 64).abs().amax(-1) / 7
    rounded = (layer.weight / steps).round() * steps
    wanted = x @ rounded.t() + layer.bias
    assert (y - wanted).norm() < 0.01 * wanted.norm()


@pytest.mark.parametrize("step", [0.0, -1.0, float("nan"), float("inf")])
def test_a_step_that_is_no_positive_number_is_refused(step):
    with pytest.raises(KernelError, match=f"static step of {step}"):
        W8A8Linear.of(_layer(), x_scale=step)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "made",
    [
        lambda layer: W8A8Linear.of(layer),
        lambda layer: W8A8Linear.of(layer, granularity="tensor"),
        lambda layer: W8A8Linear.of(layer, activation="gelu"),
        lambda layer: W4A16Linear.of(layer),
    ],
)
def test_a_traced_layer_keeps_to_operators_and_gives_the_same(way, made):
    x = torch.randn(4, 64, generator=torch.Generator().manual_seed(2))
    with using(way):
        layer = made(_layer()).eval()
        exported = torch.export.export(layer, (x,)).module()
        assert torch.allclose(exported(x), layer(x), atol=1e-6)


def test_an_exported_layer_gives_the_same():
    layer = W8A8Linear.of(_layer(), x_scale=0.03).eval()
    x = torch.randn(4, 64, generator=torch.Generator().manual_seed(2))
    assert torch.allclose(torch.export.export(layer, (x,)).module()(x), layer(x), atol=1e-6)
