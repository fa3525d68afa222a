from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kernels.support import assert_cases
from tests.kernels.support import assert_served
from tests.kernels.support import few_examples
from tests.kernels.support import normal
from tests.kernels.support import seeds

pytestmark = pytest.mark.usefixtures("every_way")


def test_every_case_equals_the_reference_bit_for_bit():
    assert_cases("quantize_rows", "cpu", least=50)


@few_examples
@given(
    rows=st.integers(0, 40),
    columns=st.integers(1, 900),
    seed=seeds,
    fmt=st.sampled_from(["int8", "fp8_e4m3"]),
    exponent=st.integers(-60, 60),
)
def test_any_shape_equals_the_reference(rows, columns, seed, fmt, exponent):
    x = normal((rows, columns), seed, scale=2.0**exponent)
    assert_served("quantize_rows", "cpu", {"x": x, "fmt": fmt, "granularity": "row", "scale": None})


def test_the_input_is_left_alone():
    x = normal((3, 9), 1)
    before = x.clone()
    assert_served("quantize_rows", "cpu", {"x": x, "fmt": "int8", "granularity": "row", "scale": None})
    assert x.equal(before)
