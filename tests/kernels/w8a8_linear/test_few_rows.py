from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from automl.kernels.cases import mismatch
from automl.kernels.native.library import using
from automl.kernels.w8a8_linear import few_rows as module
from automl.kernels.w8a8_linear.cases import bound
from automl.kernels.w8a8_linear.cpu_impl import pack
from automl.kernels.w8a8_linear.few_rows import FEW_ROWS
from automl.kernels.w8a8_linear.few_rows import few_rows
from automl.kernels.w8a8_linear.reference import LONGEST
from automl.kernels.w8a8_linear.reference import run as reference
from tests.kernels.native.support import mutant
from tests.kernels.native.support import needs_native
from tests.kernels.native.support import needs_tiles
from tests.kernels.support import codes
from tests.kernels.support import fenced
from tests.kernels.support import few_examples
from tests.kernels.support import guarded_outputs
from tests.kernels.support import normal
from tests.kernels.support import seeds

pytestmark = needs_native

shapes = st.tuples(st.integers(1, 40), st.integers(1, 150), st.integers(1, 70))


@pytest.fixture(params=["tiles", "dots", "plain"])
def form(request, monkeypatch):
    """Serve any number of rows by one of the three forms; where the processor lacks it, by the next."""
    monkeypatch.setattr(module, "FEW_ROWS", dict.fromkeys(range(3), 1 << 30))
    with using("plain" if request.param == "plain" else "vector"):
        yield request.param


def _packed(form, w, scale, bias=None, activation="none", out_dtype=torch.float32, out_codes=(1.0, 0)):
    made = few_rows(w, scale, bias, activation=activation, out_dtype=out_dtype, out_codes=out_codes, rows=1)
    return replace(made, tiles=form == "tiles")


@few_examples
@given(shape=shapes, seed=seeds, shared=st.sampled_from([0, 1 << 30]))
def test_sums_are_exact_bit_for_bit(form, shape, seed, shared):
    rows, inner, columns = shape
    x, w = codes((rows, inner), -128, 127, seed), codes((columns, inner), -128, 127, seed + 1)
    with pytest.MonkeyPatch.context() as changed, guarded_outputs():
        changed.setattr(module, "_SHARED", shared)
        got = _packed(form, fenced(w), torch.ones(columns))(fenced(x), 1.0)
    assert got.double().equal(x.double() @ w.double().t())


@few_examples
@given(
    shape=shapes,
    seed=seeds,
    activation=st.sampled_from(["none", "relu", "gelu", "silu"]),
    out_dtype=st.sampled_from([torch.float32, torch.float16, torch.bfloat16]),
    by_row=st.booleans(),
    extras=st.booleans(),
)
def test_any_epilogue_keeps_the_bound_of_the_kernel(form, shape, seed, activation, out_dtype, by_row, extras):
    rows, inner, columns = shape
    steps = normal((rows,), seed).abs().div(64)
    arguments = {
        "x": codes((rows, inner), -128, 127, seed),
        "x_scale": steps if by_row else steps[0],
        "w": codes((columns, inner), -128, 127, seed + 1),
        "w_scale": normal((columns,), seed).abs().div(64),
        "bias": normal((columns,), seed + 2) if extras else None,
        "residual": normal((rows, columns), seed + 3) if extras else None,
        "activation": activation,
        "out_dtype": out_dtype,
    }
    made = _packed(form, arguments["w"], arguments["w_scale"], arguments["bias"], activation, out_dtype)
    with guarded_outputs():
        got = made(fenced(arguments["x"]), steps if by_row else float(steps[0]), arguments["residual"])
    assert got.dtype == out_dtype
    assert mismatch(got, reference(**arguments), bound(arguments)) is None


@few_examples
@given(shape=shapes, seed=seeds, zero=st.integers(-128, 127))
def test_int8_results_are_the_rounded_and_saturated_numbers(form, shape, seed, zero):
    rows, inner, columns = shape
    x, w = codes((rows, inner), -128, 127, seed), codes((columns, inner), -128, 127, seed + 1)
    # Steps that are powers of 2 leave rounding nothing but ties, which must go to even.
    made = _packed(form, w, torch.full((columns,), 0.5), out_dtype=torch.int8, out_codes=(64.0, zero))
    with guarded_outputs():
        got = made(fenced(x), 2.0)
    wanted = (x.double() @ w.double().t() / 64).round().add(zero).clamp(-128, 127)
    assert got.dtype == torch.int8
    assert got.double().equal(wanted)


def test_the_longest_sum_does_not_overflow(form):
    x = torch.full((1, LONGEST), -128, dtype=torch.int8)
    got = _packed(form, x.expand(2, -1), torch.ones(2))(x, 1.0)
    assert got.equal(torch.full((1, 2), LONGEST * 2.0**14))


def test_other_shapes_and_strides_are_served(form):
    x, w = codes((6, 40), -128, 127, 1), codes((5, 40), -128, 127, 2)
    made = _packed(form, w, torch.ones(5))
    whole = made(x, 1.0)
    assert made(x.reshape(2, 3, 40), 1.0).equal(whole.reshape(2, 3, 5))
    assert made(x.t().contiguous().t(), 1.0).equal(whole)
    assert made(x[:0], 1.0).shape == (0, 5)
    assert copy.deepcopy(made)(x, 1.0).equal(whole)


def test_products_of_onednn_are_right_before_and_after():
    # Both set up the tiles of the processor's thread.
    x, w = codes((64, 256), -128, 127, 1), codes((64, 256), -128, 127, 2)
    theirs, ours = pack(w, torch.ones(64), None), pack(w, torch.ones(64), None, rows=4)
    assert theirs.few is None
    first, wanted = theirs.static(x, 1.0), (x.double() @ w.double().t()).float()
    for _ in range(3):
        assert ours.static(x[:4], 1.0).equal(wanted[:4])
        assert theirs.static(x, 1.0).equal(first)
    assert first.equal(wanted)


def test_what_serves_depends_on_the_rows_and_on_the_switch():
    w, scale = codes((8, 16), -128, 127, 1), torch.ones(8)
    most = max(FEW_ROWS.values())
    assert pack(w, scale, None, rows=most + 1).few is None
    assert pack(w, scale, None, rows=None).few is None
    with using("off"):
        assert pack(w, scale, None, rows=1).few is None


@pytest.mark.parametrize(
    ("tiles", "before", "after"),
    [
        pytest.param(
            True,
            "rest + r * kStretch, x + r * p.inner + whole",
            "rest + r * kStretch, x + r * p.inner",
            marks=needs_tiles,
        ),
        pytest.param(True, "_tile_dpbssd(1, 4, 7)", "_tile_dpbssd(1, 4, 6)", marks=needs_tiles),
        (False, "four ^ 0x80808080u", "four ^ 0x80808000u"),
        (False, "step(i, p.inner - i)", "step(i, 0)"),
        (True, "const __mmask16 mask = lanes_below(p.columns - column);", "const __mmask16 mask = 0x7fff;"),
        (True, "c.steps[row]", "c.steps[0]"),
    ],
)
def test_a_planted_fault_is_caught(tmp_path, tiles, before, after):
    changed = mutant(tmp_path, "few_rows.cpp", before, after)
    x, w, steps = (
        codes((5, 75), -128, 127, 1),
        codes((48, 75), -128, 127, 2),
        torch.tensor([1.0, 2, 4, 8, 16]),
    )
    good = replace(
        few_rows(
            w, torch.ones(48), None, activation="none", out_dtype=torch.float32, out_codes=(1.0, 0), rows=1
        ),
        tiles=tiles,
    )
    wanted = (x.double() @ w.double().t() * steps.double().unsqueeze(-1)).float()
    assert good(x, steps).equal(wanted)
    with guarded_outputs():
        assert not replace(good, kernels=changed)(x, steps).equal(wanted)
