from __future__ import annotations

import itertools

import pytest
import torch

from automl.kernels.w8a8_conv.reference import LONGEST
from automl.kernels.w8a8_conv.reference import activate
from automl.kernels.w8a8_conv.reference import four_sides
from automl.kernels.w8a8_conv.reference import output_shape
from automl.kernels.w8a8_conv.reference import run
from tests.kernels.support import codes
from tests.kernels.support import normal


def _plain(x, w, **change):
    given = {
        "x": x,
        "x_scale": torch.tensor(0.5),
        "x_zero": 7,
        "w": w,
        "w_scale": torch.ones(len(w)),
        "bias": None,
        "residual": None,
        "residual_step": 1.0,
        "residual_zero": 0,
        "stride": [2, 1],
        "padding": [1, 2],
        "dilation": [1, 2],
        "groups": 2,
        "activation": "none",
        "out_dtype": torch.float32,
        "out_step": 1.0,
        "out_zero": 0,
    }
    return run(**{**given, **change})


def _by_loops(x: torch.Tensor, w: torch.Tensor, zero: int) -> torch.Tensor:
    """Return the integer sums for stride (2, 1), padding (1, 2), dilation (1, 2) and two groups."""
    _, _, high, wide = x.shape
    outputs, inner, rows, columns = w.shape
    shape = output_shape(x.shape, w.shape, (2, 1), (1, 2), (1, 2))
    found = torch.zeros(shape, dtype=torch.int64)
    for b, n, i, j in itertools.product(*map(range, shape)):
        first = (n // (outputs // 2)) * inner
        for c, r, s in itertools.product(range(inner), range(rows), range(columns)):
            at, to = 2 * i + r - 1, j + 2 * s - 2
            if 0 <= at < high and 0 <= to < wide:
                found[b, n, i, j] += (int(x[b, first + c, at, to]) - zero) * int(w[n, c, r, s])
    return found


def test_it_is_the_integer_convolution_with_scales():
    x, w = codes((2, 4, 5, 6), 0, 255, 1, torch.uint8), codes((6, 2, 3, 2), -128, 127, 2)
    steps = 2.0 ** -torch.arange(6).float()
    y = _plain(x, w, w_scale=steps)
    assert torch.equal(y, _by_loops(x, w, 7).double() * 0.5 * steps.double().reshape(-1, 1, 1))


def test_the_epilogue_adds_then_activates_then_rounds_half_to_even():
    x, w = codes((1, 4, 5, 6), 0, 255, 3, torch.uint8), codes((4, 2, 3, 2), -128, 127, 4)
    plain = _plain(x, w)
    bias, residual = normal((4,), 5), codes(plain.shape, 0, 255, 6, torch.uint8)
    whole = plain + bias.double().reshape(-1, 1, 1) + (residual.double() - 9) * 0.25
    more = {"bias": bias, "residual": residual, "residual_step": 0.25, "residual_zero": 9}
    assert torch.equal(_plain(x, w, **more), whole)
    assert torch.equal(_plain(x, w, **more, activation="relu6"), whole.clamp(0, 6))
    half = {"out_dtype": torch.uint8, "out_step": 1.0, "out_zero": 100}
    halves = _plain(x, w, x_scale=torch.tensor(2.0**-7), **half)
    exact = _plain(x, w, x_scale=torch.tensor(2.0**-7))
    assert torch.equal(halves, (exact.round() + 100).clamp(0, 255))
    assert bool((exact.frac().abs() == 0.5).any())


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("none", lambda v: v),
        ("relu", torch.relu),
        ("relu6", torch.nn.functional.relu6),
        ("silu", torch.nn.functional.silu),
        ("hardswish", torch.nn.functional.hardswish),
    ],
)
def test_activations_are_those_of_torch(name, function):
    values = torch.linspace(-9, 9, 101)
    torch.testing.assert_close(activate(values, name), function(values))


def test_the_longest_sum_is_the_last_that_fits():
    assert LONGEST * 255 * 128 < 2**31 <= (LONGEST + 1) * 255 * 128


def test_a_padding_of_two_numbers_is_the_same_on_both_sides():
    assert four_sides((1, 2)) == (2, 2, 1, 1)
    assert four_sides((0, 1, 2, 3)) == (0, 1, 2, 3)
