from __future__ import annotations

import pytest
import torch

from automl.core.errors import KernelError
from automl.kernels.w8a8_conv.op import SPEC
from automl.kernels.w8a8_conv.op import w8a8_conv
from automl.kernels.w8a8_conv.reference import LONGEST
from tests.kernels.support import codes


def _operands(channels=4, outputs=6, groups=2):
    x = codes((2, channels, 7, 5), 0, 255, 1, torch.uint8)
    w = codes((outputs, channels // groups, 3, 3), -127, 127, 2)
    return {
        "x": x,
        "x_scale": torch.tensor(0.02),
        "w": w,
        "w_scale": torch.full((outputs,), 0.01),
        "groups": groups,
    }


@pytest.mark.parametrize("geometry", [{}, {"stride": (2, 1), "padding": (1, 2)}, {"padding": (0, 1, 2, 3)}])
def test_the_cpu_gives_what_the_reference_gives_in_channels_last(geometry):
    given = {**_operands(), **geometry, "x_zero": 9, "activation": "relu6"}
    wanted = w8a8_conv(**given, preference="reference")
    for preference in ("auto", "cpu"):
        y = w8a8_conv(**given, preference=preference)
        assert y.dtype == torch.float32
        assert y.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(y, wanted, rtol=1e-6, atol=1e-5)


def test_codes_of_the_result_and_of_the_residual_follow_their_steps():
    given = _operands() | {"padding": (1, 1)}
    plain = w8a8_conv(**given)
    residual = codes(plain.shape, 0, 255, 3, torch.uint8)
    got = w8a8_conv(**given, residual=residual, residual_codes=(0.25, 90), out_codes=(0.5, 30))
    wanted = ((plain + (residual.float() - 90) * 0.25) / 0.5).round().add(30).clamp(0, 255)
    assert got.dtype == torch.uint8
    assert int((got.float() - wanted).abs().max()) <= 1
    assert float((got.float() != wanted).float().mean()) < 0.01
    assert residual.equal(codes(plain.shape, 0, 255, 3, torch.uint8))


def test_the_operator_passes_the_library_checks():
    given = _operands()
    numbers = (given["x"], given["x_scale"], 5, given["w"], given["w_scale"], None, None, 1.0, 0)
    geometry = ([1, 1], [1, 1], [1, 1], 2, "relu", torch.float32, 1.0, 0, "cpu")
    torch.library.opcheck(torch.ops.automl.w8a8_conv.default, (*numbers, *geometry))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": torch.zeros(2, 4, 7, 5)}, "x of type float32; allowed: uint8"),
        ({"x": torch.zeros(4, 7, 5, dtype=torch.uint8)}, r"x of shape \(4, 7, 5\); allowed: \(b, c, height"),
        (
            {"w": torch.zeros(6, 4, 3, 3, dtype=torch.int8)},
            r"w of shape \(6, 4, 3, 3\); allowed: \(n, c / gr",
        ),
        ({"x_scale": torch.zeros(2)}, r"x_scale of shape \(2,\); allowed: one step for all"),
        ({"w_scale": torch.zeros(1)}, r"w_scale of shape \(1,\)"),
        ({"x_zero": 256}, "x_zero with the step 1.0 and the zero point 256; allowed: a positive finite step"),
        ({"out_codes": (0.0, 3)}, "out_codes with the step 0.0 and the zero point 3"),
        ({"residual_codes": (float("nan"), 3)}, "residual_codes with the step nan"),
        ({"groups": 3}, "groups=3 for 4 input and 6 output channels; allowed: a number that divides both"),
        ({"stride": (0, 1)}, r"stride=\(0, 1\); allowed: 2 whole numbers of at least 1"),
        ({"padding": (1, 1, 1)}, r"padding=\(1, 1, 1\); allowed: 2 or 4 whole numbers of at least 0"),
        ({"dilation": (4, 1)}, r"window \(3, 3\) for a map \(7, 5\); allowed: windows that fit"),
        ({"bias": torch.zeros(3)}, r"bias of shape \(3,\)"),
        ({"residual": torch.zeros(2, 6, 5, 4)}, r"residual of shape \(2, 6, 5, 4\)"),
        ({"activation": "gelu"}, "activation=gelu; allowed: none, relu, relu6, silu, hardswish"),
        ({"out_dtype": torch.int32}, "out_dtype=torch.int32"),
    ],
)
def test_bad_input_is_named(change, words):
    with pytest.raises(KernelError, match=words):
        w8a8_conv(**{**_operands(), **change})


def test_a_sum_that_could_overflow_is_refused():
    x = torch.zeros(1, LONGEST + 1, 1, 1, dtype=torch.uint8)
    with pytest.raises(KernelError, match=f"sums of 65794 products; allowed: at most {LONGEST}"):
        w8a8_conv(x, torch.tensor(1.0), x.to(torch.int8), torch.ones(1))


def test_an_order_for_triton_says_what_serves_there():
    with pytest.raises(
        KernelError, match="cannot run as 'triton' on cpu: on a GPU a convolution is a matrix"
    ):
        w8a8_conv(**_operands(), preference="triton")
    assert "w8a8_linear" in SPEC.triton
