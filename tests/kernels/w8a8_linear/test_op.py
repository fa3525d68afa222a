from __future__ import annotations

import pytest
import torch

from automl.core.errors import KernelError
from automl.kernels.w8a8_linear.op import w8a8_linear
from automl.kernels.w8a8_linear.reference import LONGEST
from tests.kernels.support import codes


def _operands(rows=(2, 3), inner=10, columns=4):
    x, w = codes((*rows, inner), -128, 127, 1), codes((columns, inner), -127, 127, 2)
    return x, torch.rand(rows, generator=torch.Generator().manual_seed(0)), w, torch.full((columns,), 0.01)


@pytest.mark.parametrize("preference", ["auto", "cpu", "triton"])
def test_leading_axes_stay(preference):
    operands = _operands()
    wanted = w8a8_linear(*operands, preference="reference")
    assert wanted.shape == (2, 3, 4)
    assert wanted.dtype == torch.float32
    assert torch.allclose(w8a8_linear(*operands, preference=preference), wanted, rtol=1e-6, atol=1e-5)


def test_the_operator_passes_the_library_checks():
    x, scale, w, w_scale = _operands(rows=(3,))
    arguments = (x, scale, w, w_scale, None, None, "relu", torch.float32, "cpu")
    torch.library.opcheck(torch.ops.automl.w8a8_linear.default, arguments)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": torch.zeros(2, 3, 10)}, "x of type float32; allowed: int8"),
        ({"w": torch.zeros(4, 9, dtype=torch.int8)}, "w of shape \\(4, 9\\); allowed: \\(n, k\\)"),
        ({"x_scale": torch.zeros(6)}, "x_scale of shape \\(6,\\)"),
        ({"x_scale": torch.zeros(2, 3).double()}, "x_scale of type float64"),
        ({"w_scale": torch.zeros(1)}, "w_scale of shape \\(1,\\)"),
        ({"bias": torch.zeros(3)}, "bias of shape \\(3,\\)"),
        ({"residual": torch.zeros(6, 4)}, "residual of shape \\(6, 4\\)"),
        ({"activation": "tanh"}, "activation=tanh; allowed: none, relu, gelu, silu"),
        ({"out_dtype": torch.int32}, "out_dtype=torch.int32"),
    ],
)
def test_bad_input_is_named(change, words):
    x, x_scale, w, w_scale = _operands()
    with pytest.raises(KernelError, match=words):
        w8a8_linear(**{"x": x, "x_scale": x_scale, "w": w, "w_scale": w_scale, **change})


def test_a_sum_that_could_overflow_is_refused():
    x = torch.zeros(1, LONGEST + 1, dtype=torch.int8)
    with pytest.raises(KernelError, match=f"k=131072; allowed: at most {LONGEST}"):
        w8a8_linear(x, torch.tensor(1.0), x, torch.ones(1))
