from __future__ import annotations

import pytest
import torch

from automl.core.errors import KernelError
from automl.kernels.w8a16_linear.op import w8a16_linear
from automl.kernels.weight_only.cases import bound
from automl.kernels.weight_only.cases import make_arguments

_NAMES = ("x", "codes", "scale", "bias", "group", "zero", "table", "residual", "activation")


def _operands(kind: str) -> dict:
    return {n: v for n, v in make_arguments(8, (6, 64, 32, 32), kind, seed=4).items() if n in _NAMES}


@pytest.mark.parametrize("preference", ["auto", "cpu", "triton"])
@pytest.mark.parametrize("kind", ["symmetric", "asymmetric"])
def test_leading_axes_stay(preference, kind):
    a = _operands(kind)
    limit = bound(8, make_arguments(8, (6, 64, 32, 32), kind, seed=4), "cpu").absolute
    wanted = w8a16_linear(**a, preference="reference").reshape(2, 3, 32)
    a["x"] = a["x"].reshape(2, 3, 64)
    y = w8a16_linear(**a, preference=preference)
    assert y.dtype == torch.float32
    assert torch.allclose(y, wanted, atol=limit, rtol=0)


def test_the_operator_passes_the_library_checks():
    a = _operands("asymmetric")
    arguments = [
        a[n] for n in ("x", "codes", "scale", "zero", "table", "group", "bias", "residual", "activation")
    ]
    torch.library.opcheck(torch.ops.automl.w8a16_linear.default, (*arguments, "cpu"))


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
def test_bad_input_is_named(change, words):
    with pytest.raises(KernelError, match=words):
        w8a16_linear(**{**_operands("symmetric"), **change})
