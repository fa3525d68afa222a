from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from automl.core.errors import KernelError
from automl.kernels.quantize_rows.cpu_impl import run as quantize_rows
from automl.kernels.w8a8_linear.cases import bound
from automl.kernels.w8a8_linear.cpu_impl import pack
from tests.kernels.support import assert_cases
from tests.kernels.support import assert_served
from tests.kernels.support import codes
from tests.kernels.support import fenced
from tests.kernels.support import few_examples
from tests.kernels.support import matrix_shapes
from tests.kernels.support import normal
from tests.kernels.support import seeds
from tests.kernels.support import strided

pytestmark = pytest.mark.usefixtures("every_way")


def test_every_case_is_within_its_bound():
    assert_cases("w8a8_linear", "cpu", least=60)


@few_examples
@given(shape=matrix_shapes, seed=seeds)
def test_any_shape_keeps_the_bound_as_it_does_in_triton(shape, seed):
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
        assert_served("w8a8_linear", "cpu", {**arguments, **change}, bound(arguments))


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
    assert_served("w8a8_linear", "cpu", arguments)


def test_a_packed_weight_serves_many_calls():
    x, w = codes((5, 40), -128, 127, 1), codes((6, 40), -127, 127, 2)
    residual = normal((5, 6), 3)
    for activation in ("none", "relu"):
        packed = pack(w, torch.full((6,), 0.01), normal((6,), 4), activation=activation)
        first = packed.static(x, 0.5)
        assert torch.allclose(packed.rows(x, torch.full((5,), 0.5)), first, rtol=1e-6, atol=1e-5)
        before = residual.clone()
        plain = pack(w, torch.full((6,), 0.01), normal((6,), 4)).static(x, 0.5)
        wanted = plain + residual if activation == "none" else (plain + residual).relu()
        assert torch.allclose(packed.added(x, 0.5, residual), wanted, rtol=1e-6, atol=1e-5)
        assert residual.equal(before)


def test_a_scale_that_is_no_number_is_named():
    with pytest.raises(KernelError, match="w_scale with the element nan; allowed: positive finite steps"):
        pack(codes((2, 4), -127, 127, 1), torch.tensor([1.0, torch.nan]), None)


@few_examples
@given(shape=matrix_shapes, seed=seeds, granularity=st.sampled_from(["row", "tensor"]))
def test_a_dynamic_product_is_that_of_codes_and_steps_made_before(shape, seed, granularity):
    rows, inner, columns = max(shape[0], 1), *shape[1:]
    x, w = normal((rows, inner), seed), codes((columns, inner), -128, 127, seed + 1)
    packed = pack(w, normal((columns,), seed).abs(), normal((columns,), seed + 2))
    made, step = quantize_rows(x, "int8", granularity, None)
    apart = packed.rows(made, step) if granularity == "row" else packed.static(made, float(step))
    assert packed.dynamic(x, granularity).equal(apart)


@pytest.mark.parametrize("granularity", ["row", "tensor"])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_an_input_that_is_not_finite_gives_nan(granularity, bad):
    x, w = normal((3, 40), 1), codes((8, 40), -128, 127, 2)
    x[1, 3] = bad
    y = pack(w, torch.ones(8), torch.ones(8)).dynamic(x, granularity)
    assert y[1].isnan().all()
    assert y[0].isnan().any() == (granularity == "tensor")
