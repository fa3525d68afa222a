from __future__ import annotations

import pytest
import torch

from automl.core.errors import KernelError
from automl.kernels.w4a8_linear.cases import make_arguments
from automl.kernels.w4a8_linear.op import w4a8_linear
from automl.kernels.w4a8_linear.reference import LONGEST


@pytest.mark.parametrize("preference", ["auto", "cpu", "triton"])
@pytest.mark.parametrize("form", ["channel", "integer", "float"])
def test_leading_axes_stay(preference, form):
    a = make_arguments((6, 40, 7, 16), form, 4)
    wanted = w4a8_linear(**a, preference="reference").reshape(2, 3, 7)
    a["x"], a["x_scale"] = a["x"].reshape(2, 3, 40), a["x_scale"].reshape(2, 3)
    assert torch.allclose(w4a8_linear(**a, preference=preference), wanted, rtol=1e-5, atol=1e-4)


def test_the_operator_passes_the_library_checks():
    a = make_arguments((3, 40, 7, 16), "integer", 4)
    torch.library.opcheck(torch.ops.automl.w4a8_linear.default, (*a.values(), "cpu"))


def test_odd_groups_run_everywhere_but_in_triton():
    a = make_arguments((3, 20, 7, 5), "integer", 4)
    assert torch.allclose(w4a8_linear(**a), w4a8_linear(**a, preference="reference"), rtol=1e-6, atol=1e-4)
    with pytest.raises(KernelError, match="group=5 is odd and would begin inside a byte"):
        w4a8_linear(**a, preference="triton")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": torch.zeros(3, 40)}, "x of type float32; allowed: int8"),
        ({"codes": torch.zeros(7, 40, dtype=torch.uint8)}, r"codes of shape \(7, 40\)"),
        ({"codes": torch.zeros(7, 20, dtype=torch.int8)}, "codes of type int8; allowed: uint8"),
        ({"group": 0}, "group=0"),
        ({"group": 8}, r"scale of shape \(7, 3\)"),
        ({"alpha": 3}, "alpha=3; allowed: a power of two"),
        ({"alpha": 0}, "scale of type int32; allowed: float32"),
        ({"x_scale": torch.ones(4)}, r"x_scale of shape \(4,\)"),
        ({"out_dtype": torch.int8}, "out_dtype=torch.int8"),
    ],
)
def test_bad_input_is_named(change, words):
    with pytest.raises(KernelError, match=words):
        w4a8_linear(**{**make_arguments((3, 40, 7, 16), "integer", 4), **change})


def test_a_sum_that_could_overflow_is_refused():
    x = torch.zeros(1, LONGEST + 1, dtype=torch.int8)
    codes = torch.zeros(1, (LONGEST + 1) // 2, dtype=torch.uint8)
    with pytest.raises(KernelError, match=f"k=131072; allowed: at most {LONGEST}"):
        w4a8_linear(x, torch.tensor(1.0), codes, torch.ones(1, 1), group=LONGEST + 1)
