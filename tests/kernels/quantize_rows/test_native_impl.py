from __future__ import annotations

import copy
import ctypes
import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from automl.kernels.native.library import native
from automl.kernels.native.library import using
from automl.kernels.quantize_rows import native_impl
from automl.kernels.quantize_rows.native_impl import quantizer
from automl.kernels.quantize_rows.reference import run as reference
from tests.kernels.native.support import mutant
from tests.kernels.native.support import needs_native
from tests.kernels.support import fenced
from tests.kernels.support import few_examples
from tests.kernels.support import guarded_outputs
from tests.kernels.support import normal
from tests.kernels.support import seeds
from tests.kernels.support import strided

pytestmark = needs_native
FLOATS = [torch.float32, torch.float16, torch.bfloat16]


@pytest.fixture(params=["vector", "plain"])
def made(request):
    with using(request.param):
        yield quantizer()


def _differs(made, x: torch.Tensor) -> bool:
    """Return whether one of the three forms gives other codes or steps than the reference."""
    with guarded_outputs():
        by_row, steps = made.rows(x)
        whole, step = made.tensor(x)
        static = made.static(x, 0.37, -5)
    codes, wanted = reference(x, "int8", "row", None)
    same = by_row.equal(codes) and torch.equal(steps.flatten().nan_to_num(-1), wanted.nan_to_num(-1))
    codes, wanted = reference(x, "int8", "tensor", None)
    same &= whole.equal(codes) and torch.equal(torch.tensor(step).nan_to_num(-1), wanted.nan_to_num(-1))
    return not (same and static.equal(reference(x, "int8", "tensor", torch.tensor(0.37), -5)[0]))


@few_examples
@given(
    rows=st.integers(1, 40),
    columns=st.integers(1, 300),
    seed=seeds,
    exponent=st.integers(-140, 126),
    dtype=st.sampled_from(FLOATS),
    threads=st.integers(1, 3),
)
def test_any_input_gives_the_codes_and_steps_of_the_reference(
    made, rows, columns, seed, exponent, dtype, threads
):
    x = normal((rows, columns), seed).mul_(2.0**exponent).to(dtype)
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(native_impl, "_threads", lambda numbers: threads)
        assert not _differs(made, fenced(x))
        assert not _differs(made, strided(x))
        assert not _differs(made, x.t().contiguous().t())


@pytest.mark.parametrize("dtype", FLOATS)
def test_every_half_precision_number_is_read_right(made, dtype):
    bits = np.arange(1 << 16, dtype=np.uint16).view(np.int16)
    x = torch.from_numpy(bits).view(torch.float16 if dtype == torch.float16 else torch.bfloat16).to(dtype)
    step = torch.tensor(0.01)
    assert made.static(x, 0.01).equal(reference(x, "int8", "tensor", step)[0])
    # Sixteen numbers a row: most rows are finite, some are not.
    assert not _differs(made, x.reshape(-1, 16))


def test_quotients_near_the_middle_of_two_codes_round_as_divisions_do(made):
    generator = torch.Generator().manual_seed(3)
    steps = torch.rand(200, generator=generator).add_(0.01)
    middles = torch.arange(-127, 128).float() - 0.5
    for step in steps.tolist():
        x = (middles * step).repeat(3, 1)
        x[1], x[2] = torch.nextafter(x[0], torch.tensor(1e9)), torch.nextafter(x[0], torch.tensor(-1e9))
        assert made.static(x, step).equal(reference(x, "int8", "tensor", torch.tensor(step))[0])


@pytest.mark.parametrize("step", [2.0**-149, 2.0**-126, 2.0**-125, 2.0**125, 3e38])
@pytest.mark.parametrize("zero", [-128, 0, 127])
def test_steps_at_the_ends_of_their_range_and_any_zero_saturate_alike(made, step, zero):
    x = torch.tensor([0.0, -0.0, 1e-45, 1.0, -1.0, 3e38, -3e38, torch.inf, -torch.inf, torch.nan]) * step
    x = torch.cat([x, normal((60,), 1).mul_(100).mul_(step)])
    wanted = reference(x, "int8", "tensor", torch.tensor(step), zero)[0]
    assert made.static(x, step, zero).equal(wanted)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("place", [0, 15, 16, 63, 64, 70])
def test_one_number_that_is_not_finite_spoils_its_row_alone(made, bad, place):
    x = normal((3, 71), 1)
    x[1, place] = bad
    codes, steps = made.rows(x)
    assert not codes[1].any()
    assert steps.isnan().flatten().tolist() == [False, True, False]
    codes, step = made.tensor(x)
    assert not codes.any()
    assert step != step


def test_no_rows_at_all_are_fine(made):
    assert made.rows(torch.empty(0, 5))[0].shape == (0, 5)
    assert made.static(torch.empty(0, 5), 1.0).shape == (0, 5)


def test_kept_buffers_belong_to_a_thread_and_large_ones_are_not_kept(made, monkeypatch):
    x, found = normal((4, 50), 4), []
    worker = threading.Thread(target=lambda: found.append(made.rows(x, kept=True)[0]))
    worker.start()
    worker.join()
    own = made.rows(x, kept=True)[0]
    assert found[0].data_ptr() != own.data_ptr()
    assert made.rows(x, kept=True)[0].data_ptr() == own.data_ptr()
    assert made.rows(x)[0].data_ptr() != own.data_ptr()
    monkeypatch.setattr(native_impl, "_LARGEST_KEPT", 100)
    assert made.rows(x, kept=True)[0].data_ptr() != own.data_ptr()


def test_a_copied_layer_shares_the_library(made):
    assert copy.deepcopy(made) is made


def test_without_native_kernels_there_is_no_quantizer():
    with using("off"):
        assert quantizer() is None


_FAULTS = {
    "a dropped mask of the last numbers": (
        "quantize.h",
        "const __m512i bits = _mm512_castps_si512(load_lanes<type>(x, i, lanes_below(last - i)));",
        "const __m512i bits = _mm512_castps_si512(load_lanes<type>(x, i, 0xffff));",
    ),
    "a dropped mask of the store": (
        "quantize.h",
        "_mm_mask_storeu_epi8(codes + i, mask, found);",
        "_mm_mask_storeu_epi8(codes + i, 0xffff, found);",
    ),
    "a reciprocal trusted everywhere": (
        "quantize.h",
        "__builtin_expect(unsure != 0 || divides, 0)",
        "__builtin_expect(divides, 0)",
    ),
    "a lost zero point": (
        "quantize.h",
        "_mm512_set1_epi32(zero - kMagicBits)",
        "_mm512_set1_epi32(-kMagicBits)",
    ),
    "infinity taken for a size": ("quantize.h", "most >= kInfinity", "most > kInfinity"),
}


@pytest.mark.parametrize("fault", _FAULTS)
def test_a_planted_fault_is_seen(fault, tmp_path):
    made = native_impl.Quantizer(mutant(tmp_path, *_FAULTS[fault]))
    ties = (torch.arange(-127, 128).float() - 0.5).mul(0.37).reshape(1, -1)
    spoiled = normal((3, 71), 1)
    spoiled[1, 70] = torch.inf

    def caught(x: torch.Tensor) -> bool:
        try:
            return _differs(made, fenced(x))
        except AssertionError:
            return True

    assert any(caught(x) for x in (normal((5, 71), 2, scale=30.0), ties, spoiled))


def test_pointers_are_wide_enough(made):
    function = native().function("automl_quantize_tensor", (), None)
    assert function.argtypes[0] is ctypes.c_void_p
