from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from automl.kernels.native.library import using
from automl.kernels.w8a8_linear import native_impl
from automl.kernels.w8a8_linear.native_impl import Surroundings
from automl.kernels.w8a8_linear.native_impl import surroundings
from tests.kernels.native.support import mutant
from tests.kernels.native.support import needs_native
from tests.kernels.support import fenced
from tests.kernels.support import few_examples
from tests.kernels.support import guarded_outputs
from tests.kernels.support import normal
from tests.kernels.support import seeds

pytestmark = needs_native


@pytest.fixture(params=["vector", "plain"])
def made(request):
    with using(request.param):
        yield surroundings()


def _worst(made, shape, seed: int, dtype: torch.dtype, extras: bool, relu: bool) -> float:
    """Return the largest distance from float64, in units of three roundings of the terms."""
    rows, columns = shape
    y, steps = normal((rows, columns), seed), normal((rows, 1), seed + 1).abs()
    bias, residual = normal((columns,), seed + 2), normal((rows, columns), seed + 3)
    wanted = y.double() * steps.double()
    size = wanted.abs()
    if extras:
        wanted, size = wanted + bias + residual, size + bias.abs() + residual.abs()
    wanted = wanted.relu() if relu else wanted
    more = (fenced(bias), fenced(residual)) if extras else (None, None)
    with guarded_outputs():
        got = made.finish(fenced(y), fenced(steps), *more, relu=relu, out_dtype=dtype)
    assert got.dtype == dtype
    unit = size * 3 * 2.0**-24 + wanted.abs() * torch.finfo(dtype).eps / 2 + torch.finfo(dtype).tiny
    return float(((got.double() - wanted).abs() / unit).nan_to_num(nan=99.0).max()) if y.numel() else 0.0


@few_examples
@given(
    shape=st.tuples(st.integers(0, 20), st.integers(1, 90)),
    seed=seeds,
    dtype=st.sampled_from([torch.float32, torch.float16, torch.bfloat16]),
    extras=st.booleans(),
    relu=st.booleans(),
    shared=st.sampled_from([0, 1 << 30]),
)
def test_any_epilogue_is_within_three_roundings(made, shape, seed, dtype, extras, relu, shared):
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(native_impl, "_SHARED", shared)
        assert _worst(made, shape, seed, dtype, extras, relu) <= 1


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_step_that_is_nan_spoils_its_row_alone(made, relu, dtype):
    y = made.finish(
        normal((3, 40), 1), torch.tensor([1.0, torch.nan, 2.0]), None, None, relu=relu, out_dtype=dtype
    )
    assert y.isnan().any(dim=1).tolist() == [False, True, False]
    assert y[1].isnan().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_results_are_rounded_half_to_even_over_the_whole_range(made, dtype):
    exponents = torch.arange(-150, 128).double().exp2()
    x = (normal((64,), 5).double().unsqueeze(0) * exponents.unsqueeze(1)).float()
    halves = torch.arange(0x7C00, dtype=torch.int16).view(torch.float16).float()
    middles = (halves[1:] + halves[:-1])[: 31 * 1024 - 64].reshape(-1, 64) / 2
    for y in (x, middles):
        got = made.finish(y.clone(), torch.ones(len(y)), None, None, relu=False, out_dtype=dtype)
        assert got.equal(y.to(dtype))


def test_float32_is_finished_in_place_and_half_precision_is_not(made):
    y = normal((2, 20), 1)
    assert made.finish(y, torch.ones(2), None, None, relu=False, out_dtype=torch.float32) is y
    assert made.finish(y, torch.ones(2), None, None, relu=False, out_dtype=torch.float16) is not y


def test_a_copied_layer_shares_the_library_and_without_one_there_is_none(made):
    assert copy.deepcopy(made) is made
    with using("off"):
        assert surroundings() is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "store_lanes<type>(out, base + i, mask, value);",
            "store_lanes<type>(out, base + i, 0xffff, value);",
        ),
        ("_mm512_set1_ps(f.steps[row])", "_mm512_set1_ps(f.steps[0])"),
        ("f.residual + base + i", "f.residual + i"),
        ("if (f.relu) value", "if (false) value"),
    ],
)
def test_a_planted_fault_is_seen(before, after, tmp_path):
    made = Surroundings(mutant(tmp_path, "finish.cpp", before, after))
    try:
        wrong = _worst(made, (5, 37), 1, torch.float16, extras=True, relu=True) > 1
    except AssertionError:
        wrong = True
    assert wrong
