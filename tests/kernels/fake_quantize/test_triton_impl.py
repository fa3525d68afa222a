from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from automl.kernels.cases import EXACT
from automl.kernels.cases import mismatch
from automl.kernels.fake_quantize import reference
from automl.kernels.fake_quantize.triton_impl import run_backward
from tests.kernels.support import assert_cases
from tests.kernels.support import assert_served
from tests.kernels.support import fenced
from tests.kernels.support import few_examples
from tests.kernels.support import guarded_outputs
from tests.kernels.support import normal
from tests.kernels.support import seeds
from tests.kernels.support import strided

_LAYOUTS = st.sampled_from(["tensor", "channel", "group"])


def test_every_case_equals_the_reference_bit_for_bit():
    assert_cases("fake_quantize", "triton", least=100)


@st.composite
def calls(draw):
    """Draw a call; every operand lies between poisoned strips, x sometimes with gaps."""
    shape = [*draw(st.lists(st.integers(1, 9), min_size=1, max_size=3)), draw(st.integers(1, 80))]
    granularity, seed = draw(_LAYOUTS), draw(seeds)
    axis, group = draw(st.integers(0, len(shape) - 1)), draw(st.integers(1, 50))
    bits = draw(st.integers(1, 16))
    steps = {"tensor": (), "channel": (shape[axis],), "group": (*shape[:-1], -(-shape[-1] // group))}[
        granularity
    ]
    low = draw(st.sampled_from([0, -(2 ** (bits - 1))]))
    high = low + 2**bits - 1
    zero = torch.randint(
        low, high + 1, steps, generator=torch.Generator().manual_seed(seed), dtype=torch.int32
    )
    x = normal(shape, seed, draw(st.sampled_from([torch.float32, torch.float16, torch.bfloat16])), scale=4.0)
    return {
        "x": draw(st.sampled_from([fenced, strided]))(x),
        "scale": fenced(normal(steps, seed + 1).abs_().add_(0.01)),
        "zero": draw(st.sampled_from([None, fenced(zero)])),
        "granularity": granularity,
        "axis": axis,
        "group": group,
        "low": low,
        "high": high,
    }


@few_examples
@given(call=calls())
def test_any_call_equals_the_reference(call):
    assert_served("fake_quantize", "triton", call)


@few_examples
@given(call=calls(), seed=seeds)
def test_any_gradient_equals_the_reference(call, seed):
    grad = strided(normal(call["x"].shape, seed, call["x"].dtype))
    with guarded_outputs():
        slope = run_backward(grad, **call)
    assert mismatch(slope, reference.run_backward(grad, **call), EXACT) is None


def test_a_bad_scale_shows_in_the_result():
    options = {"granularity": "tensor", "axis": 0, "group": 1, "low": -8, "high": 7}
    call = {"x": normal((2, 3), 1), "scale": torch.tensor(torch.nan), "zero": None, **options}
    assert_served("fake_quantize", "triton", call)
    assert reference.run(**call).isnan().all()
