"""Both operators of weight-only layers behave alike."""

from __future__ import annotations

import pytest
import torch

from automl.core.errors import KernelError
from automl.kernels.w4a16_linear.op import w4a16_linear
from automl.kernels.w8a16_linear.op import w8a16_linear
from automl.kernels.weight_only.cases import bound
from automl.kernels.weight_only.cases import make_arguments

_NAMES = ("x", "codes", "scale", "bias", "group", "zero", "table", "residual", "activation")
_LAYERS = {4: w4a16_linear, 8: w8a16_linear}


def operands(bits: int, kind: str) -> dict:
    return {n: v for n, v in make_arguments(bits, (6, 64, 32, 32), kind, seed=4).items() if n in _NAMES}


@pytest.mark.parametrize("preference", ["auto", "cpu", "triton"])
@pytest.mark.parametrize(
    ("bits", "kind"), [(4, "symmetric"), (4, "asymmetric"), (4, "nf4"), (8, "symmetric"), (8, "asymmetric")]
)
def test_leading_axes_stay(preference, bits, kind):
    a, layer = operands(bits, kind), _LAYERS[bits]
    limit = bound(bits, make_arguments(bits, (6, 64, 32, 32), kind, seed=4), "cpu").absolute
    wanted = layer(**a, preference="reference").reshape(2, 3, 32)
    a["x"] = a["x"].reshape(2, 3, 64)
    y = layer(**a, preference=preference)
    assert y.dtype == torch.float32
    assert torch.allclose(y, wanted, atol=limit, rtol=0)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": torch.zeros(6, 65)}, "codes of shape"),
        ({"group": 0}, "group=0"),
        ({"bias": torch.zeros(3)}, r"bias of shape \(3,\)"),
        ({"activation": "tanh"}, "activation=tanh"),
        ({"preference": "cuda"}, "unknown preference 'cuda'"),
    ],
)
def test_bad_input_is_named(bits, change, words):
    with pytest.raises(KernelError, match=words):
        _LAYERS[bits](**{**operands(bits, "symmetric"), **change})
