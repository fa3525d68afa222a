from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from automl.kernels.fake_quantize import reference
from automl.kernels.fake_quantize.cases import cases
from automl.kernels.fake_quantize.cpu_impl import run_backward
from tests.kernels.support import assert_cases
from tests.kernels.support import assert_served
from tests.kernels.support import few_examples
from tests.kernels.support import normal
from tests.kernels.support import seeds


def test_every_case_equals_the_reference_bit_for_bit():
    assert_cases("fake_quantize", "cpu", least=100)


def test_every_gradient_equals_the_reference_bit_for_bit():
    for case in cases():
        grad = normal(case.arguments["x"].shape, 11, case.arguments["x"].dtype)
        expected = reference.run_backward(grad, **case.arguments)
        assert torch.equal(run_backward(grad, **case.arguments), expected), case.name


@few_examples
@given(
    rows=st.integers(0, 9),
    columns=st.integers(1, 200),
    group=st.integers(1, 70),
    bits=st.integers(1, 8),
    seed=seeds,
    exponent=st.integers(-20, 20),
)
def test_any_group_equals_the_reference(rows, columns, group, bits, seed, exponent):
    x = normal((rows, columns), seed, scale=2.0**exponent)
    scale = normal((rows, -(-columns // group)), seed + 1).abs_().add_(0.1).mul_(2.0**exponent)
    zero = torch.full(scale.shape, seed % 2**bits, dtype=torch.int32)
    options = {"granularity": "group", "axis": 0, "group": group, "low": 0, "high": 2**bits - 1}
    assert_served("fake_quantize", "cpu", {"x": x, "scale": scale, "zero": zero, **options})


def test_the_input_is_left_alone():
    x = normal((3, 9), 1)
    before = x.clone()
    options = {"granularity": "tensor", "axis": 0, "group": 1, "low": -8, "high": 7}
    assert_served("fake_quantize", "cpu", {"x": x, "scale": torch.tensor(0.1), "zero": None, **options})
    assert x.equal(before)
