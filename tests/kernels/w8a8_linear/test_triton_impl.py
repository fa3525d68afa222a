from __future__ import annotations

import torch
from hypothesis import given

from automl.kernels.w8a8_linear.cases import bound
from tests.kernels.support import assert_cases
from tests.kernels.support import assert_served
from tests.kernels.support import codes
from tests.kernels.support import fenced
from tests.kernels.support import few_examples
from tests.kernels.support import matrix_shapes
from tests.kernels.support import normal
from tests.kernels.support import seeds
from tests.kernels.support import strided


def test_every_case_is_within_its_bound():
    assert_cases("w8a8_linear", "triton", least=60)


@few_examples
@given(shape=matrix_shapes, seed=seeds)
def test_any_shape_keeps_the_bound_with_poison_around_the_operands(shape, seed):
    rows, inner, columns = shape
    x, w = codes((rows, inner), -128, 127, seed), codes((columns, inner), -128, 127, seed + 1)
    arguments = {
        "x": fenced(x),
        "x_scale": fenced(normal((rows,), seed).abs()),
        "w": fenced(w),
        "w_scale": fenced(normal((columns,), seed).abs()),
        "bias": fenced(normal((columns,), seed + 2)),
        "residual": strided(normal((rows, columns), seed + 3)),
        "activation": "none",
        "out_dtype": torch.float32,
    }
    for change in ({}, {"x": strided(x), "w": strided(w)}):
        assert_served("w8a8_linear", "triton", {**arguments, **change}, bound(arguments))


@few_examples
@given(shape=matrix_shapes, seed=seeds)
def test_sums_are_exact_bit_for_bit(shape, seed):
    rows, inner, columns = shape
    arguments = {
        "x": fenced(codes((rows, inner), -128, 127, seed)),
        "x_scale": torch.tensor(1.0),
        "w": fenced(codes((columns, inner), -128, 127, seed + 1)),
        "w_scale": torch.ones(columns),
        "bias": None,
        "residual": None,
        "activation": "none",
        "out_dtype": torch.float32,
    }
    assert_served("w8a8_linear", "triton", arguments)
