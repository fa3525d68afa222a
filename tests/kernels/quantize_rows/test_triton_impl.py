from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from automl.kernels.quantize_rows.triton_impl import run
from tests.kernels.support import assert_cases
from tests.kernels.support import assert_served
from tests.kernels.support import fenced
from tests.kernels.support import few_examples
from tests.kernels.support import normal
from tests.kernels.support import seeds
from tests.kernels.support import strided


def test_every_case_equals_the_reference_bit_for_bit():
    assert_cases("quantize_rows", "triton", least=50)


@few_examples
@given(
    rows=st.integers(0, 5),
    columns=st.integers(1, 300),
    seed=seeds,
    fmt=st.sampled_from(["int8", "fp8_e4m3"]),
    exponent=st.integers(-30, 30),
)
def test_any_shape_equals_the_reference(rows, columns, seed, fmt, exponent):
    x = normal((rows, columns), seed, scale=2.0**exponent)
    for given_x in (fenced(x), strided(x)):
        assert_served(
            "quantize_rows", "triton", {"x": given_x, "fmt": fmt, "granularity": "row", "scale": None}
        )


@pytest.mark.parametrize("sign", [1, -1])
def test_every_e4m3_number_and_every_midpoint_is_encoded_like_torch_does(sign):
    numbers = torch.arange(127, dtype=torch.uint8).view(torch.float8_e4m3fn).float()
    middles = (numbers[1:] + numbers[:-1]) / 2
    x = sign * torch.cat([numbers, middles, middles.nextafter(torch.tensor(0.0)), numbers[1:] * 0.999])
    codes, _ = run(x[None], "fp8_e4m3", "tensor", torch.tensor(1.0))
    assert torch.equal(codes.view(torch.uint8), x[None].to(torch.float8_e4m3fn).view(torch.uint8))
