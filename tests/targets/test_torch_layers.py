from __future__ import annotations

import pytest
import torch

from automl.targets.torch_layers import FloatLinear
from automl.targets.torch_layers import SplitLayer
from automl.targets.torch_layers import cast
from automl.targets.torch_layers import entry


def _numbers(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("activation", ["none", "relu", "gelu", "silu"])
@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 1e-6), (torch.bfloat16, 0.01)])
def test_a_float_layer_follows_the_linear_one(activation, dtype, limit):
    w, b, x = _numbers(16, 32), _numbers(16), _numbers(2, 3, 32)
    functions = {"none": lambda y: y, "relu": torch.relu}
    functions |= {"gelu": torch.nn.functional.gelu, "silu": torch.nn.functional.silu}
    expected = functions[activation](torch.nn.functional.linear(x, w, b))
    layer = FloatLinear(w, b, dtype=dtype, activation=activation, rows=6)
    for call in (layer, entry(layer)):
        y = call(x.to(dtype))
        assert y.dtype == dtype
        assert (y.float() - expected).norm() < limit * expected.norm()


def test_a_stacked_layer_is_cut_into_its_parts():
    a, b, x = _numbers(4, 8), _numbers(6, 8), _numbers(3, 8)
    split = SplitLayer(FloatLinear(torch.cat([a, b]), None, dtype=torch.float32), (4, 6))
    first, second = split(x)
    torch.testing.assert_close(first, x @ a.t())
    torch.testing.assert_close(second, x @ b.t())


def test_a_cast_keeps_the_lowest_number_finite_when_asked():
    x = torch.tensor([torch.finfo(torch.float32).min, 1.0])
    assert torch.isinf(cast(x, torch.bfloat16)[0])
    assert torch.isfinite(cast(x, torch.bfloat16, torch.finfo(torch.bfloat16).min)).all()
