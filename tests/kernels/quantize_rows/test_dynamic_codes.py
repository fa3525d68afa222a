from __future__ import annotations

import threading

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from automl.kernels.quantize_rows import dynamic_codes
from automl.kernels.quantize_rows.dynamic_codes import row_codes
from automl.kernels.quantize_rows.dynamic_codes import tensor_codes
from automl.kernels.quantize_rows.reference import run as reference
from tests.kernels.support import few_examples
from tests.kernels.support import normal
from tests.kernels.support import seeds
from tests.kernels.support import strided


@few_examples
@given(
    rows=st.integers(1, 30),
    columns=st.integers(1, 200),
    seed=seeds,
    exponent=st.integers(-130, 120),
    dtype=st.sampled_from([torch.float32, torch.float16, torch.bfloat16]),
    stretch=st.sampled_from([1, 64, 1000, 1 << 18]),
)
def test_codes_and_steps_equal_the_reference_bit_for_bit_in_any_number_of_stretches(
    rows, columns, seed, exponent, dtype, stretch
):
    x = strided(normal((rows, columns), seed, scale=2.0**exponent).clamp(-6e4, 6e4).to(dtype))
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(dynamic_codes, "STRETCH", stretch)
        by_row, steps = row_codes(x)
        whole, step = tensor_codes(x)
    codes, wanted = reference(x, "int8", "row", None)
    assert by_row.equal(codes)
    assert steps.flatten().equal(wanted)
    codes, wanted = reference(x, "int8", "tensor", None)
    assert whole.equal(codes)
    assert torch.tensor(step, dtype=torch.float32).equal(wanted)


def test_halves_between_two_codes_go_to_the_even_one():
    x = torch.arange(-254, 255).float().div(2).unsqueeze(0)
    x[0, -1] = 127
    wanted = x.round().to(torch.int8)
    assert row_codes(x)[0].equal(wanted)
    assert tensor_codes(x)[0].equal(wanted)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_what_is_not_finite_leaves_zeros_and_a_step_that_spoils_products(bad):
    x = normal((3, 40), 1)
    x[1, 7] = bad
    codes, steps = row_codes(x)
    assert not codes[1].any()
    assert codes[0].any()
    assert (torch.zeros(1) * steps[1]).isnan()
    assert steps[[0, 2]].isfinite().all()
    codes, step = tensor_codes(x)
    assert not codes.any()
    assert step != step


def test_kept_codes_are_overwritten_and_others_are_not():
    x, other = normal((4, 50), 2), normal((4, 50), 3)
    for codes_of in (row_codes, tensor_codes):
        fresh, kept = codes_of(x)[0], codes_of(x, kept=True)[0]
        assert fresh.equal(kept)
        before = fresh.clone()
        codes_of(other, kept=True)
        assert fresh.equal(before)
        assert not kept.equal(before)


def test_threads_do_not_share_their_buffers():
    x, found = normal((4, 50), 4), []
    worker = threading.Thread(target=lambda: found.append(row_codes(x, kept=True)[0]))
    worker.start()
    worker.join()
    assert found[0].data_ptr() != row_codes(x, kept=True)[0].data_ptr()


def test_buffers_of_inference_mode_serve_outside_of_it_and_inputs_may_want_gradients():
    x = normal((5, 61), 5)
    with torch.inference_mode():
        inside = row_codes(x)[0]
    wanting = x.requires_grad_()
    assert row_codes(wanting)[0].equal(inside)
    assert tensor_codes(wanting)[0].any()
