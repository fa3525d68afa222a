from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from automl.kernels.native.library import native
from automl.kernels.native.library import using
from automl.kernels.w8a8_linear import tiles_impl
from automl.kernels.w8a8_linear.cpu_impl import pack
from automl.kernels.w8a8_linear.tiles_impl import TileWeight
from automl.kernels.w8a8_linear.tiles_impl import tile_codes
from automl.kernels.w8a8_linear.tiles_impl import tile_weight
from tests.kernels.native.support import mutant
from tests.kernels.native.support import needs_tiles
from tests.kernels.support import codes
from tests.kernels.support import fenced
from tests.kernels.support import few_examples
from tests.kernels.support import guarded_outputs
from tests.kernels.support import normal
from tests.kernels.support import seeds
from tests.kernels.support import strided

FLOATS = [torch.float32, torch.float16, torch.bfloat16]


def _operands(shape, seed: int):
    rows, inner, columns = shape
    w, scale = codes((columns, inner), -128, 127, seed), normal((columns,), seed + 1).abs().add(0.01)
    return normal((rows, inner), seed + 2), w, scale, normal((columns,), seed + 3)


def _apart(x, w, scale, bias, residual, out_dtype, activation="none"):
    """Return the product by codes, oneDNN and an epilogue of their own."""
    with using("vector"):
        packed = pack(w, scale, bias, out_dtype=out_dtype, activation=activation)
        made, steps = packed.around.quantizer.rows(x)
        return packed.rows(made, steps, residual)


@needs_tiles
@few_examples
@given(
    shape=st.tuples(st.integers(1, 70), st.integers(1, 200), st.integers(1, 100)),
    seed=seeds,
    dtype=st.sampled_from(FLOATS),
    out_dtype=st.sampled_from(FLOATS),
    relu=st.booleans(),
    extras=st.booleans(),
    shared=st.sampled_from([0, 1 << 40]),
)
def test_any_call_gives_what_its_parts_give_bit_for_bit(shape, seed, dtype, out_dtype, relu, extras, shared):
    x, w, scale, bias = _operands(shape, seed)
    x, residual = x.to(dtype), normal((shape[0], shape[2]), seed + 4) if extras else None
    wanted = _apart(x, w, scale, bias if extras else None, residual, out_dtype, "relu" if relu else "none")
    made = TileWeight(native(), w, fenced(scale), fenced(bias) if extras else None, relu=relu)
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(tiles_impl, "_SHARED", shared)
        for form in (fenced(x), strided(x), x.t().contiguous().t()):
            with guarded_outputs():
                y = made(form, out_dtype, None if residual is None else fenced(residual))
            assert y.equal(wanted)


@needs_tiles
def test_onednn_finds_its_own_tiles_as_it_left_them():
    x, w, scale, bias = _operands((40, 130, 50), 1)
    packed = pack(w, scale, bias, by_row=True)
    made, steps = packed.around.quantizer.rows(x)
    first = packed.static(made, 0.1)
    for _ in range(3):
        assert packed.dynamic(x).equal(packed.rows(made, steps))
        assert packed.static(made, 0.1).equal(first)


@needs_tiles
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_number_that_is_not_finite_spoils_its_row_alone(bad):
    x, w, scale, bias = _operands((20, 70, 33), 2)
    x[17, 69] = bad
    y = tile_weight(w, scale, bias, relu=True)(x, torch.float32)
    assert y.isnan().any(dim=1).nonzero().flatten().tolist() == [17]
    assert y[17].isnan().all()


@needs_tiles
def test_buffers_of_a_longer_call_leave_nothing_in_a_shorter_one():
    x, w, scale, _ = _operands((30, 64, 40), 3)
    made = tile_weight(w, scale, None, relu=False)
    made(torch.full((64, 64), torch.inf), torch.float32)
    wide = TileWeight(native(), codes((40, 300), -128, 127, 9), scale, None, relu=False)
    wide(normal((50, 300), 4), torch.float32)
    assert made(x, torch.float32).equal(_apart(x, w, scale, None, None, torch.float32))
    assert made(x[:0], torch.float32).shape == (0, 40)


@needs_tiles
def test_more_rows_than_pay_go_through_onednn_and_give_the_same(monkeypatch):
    x, w, scale, bias = _operands((9, 70, 33), 8)
    packed = pack(w, scale, bias, by_row=True)
    on_tiles = packed.dynamic(x)
    monkeypatch.setattr("automl.kernels.w8a8_linear.cpu_impl.TILE_ROWS", 8)
    monkeypatch.setattr(tiles_impl.TileWeight, "__call__", lambda *_: pytest.fail("it took the tiles"))
    assert packed.dynamic(x).equal(on_tiles)


def test_codes_lie_four_inputs_of_a_channel_side_by_side():
    w = codes((33, 70), -128, 127, 5)
    tiles = tile_codes(w)
    assert tiles.shape == (4, 2, 16, 16, 4)
    assert tiles[0, 0, 2, 5, 3] == w[5, 11]
    assert tiles[2, 1, 1, 0, 1] == w[32, 69]
    assert not tiles[2, 1, 1, 0, 2:].any()
    assert not tiles[3].any()


def test_only_layers_that_measure_by_row_keep_a_second_layout():
    _, w, scale, bias = _operands((1, 64, 32), 6)
    assert pack(w, scale, bias).tiles is None
    with using("plain"):
        assert pack(w, scale, bias, by_row=True).tiles is None
    with using("off"):
        assert pack(w, scale, bias, by_row=True).tiles is None


@needs_tiles
def test_a_copied_layer_shares_its_weight():
    _, w, scale, bias = _operands((1, 64, 32), 6)
    made = tile_weight(w, scale, bias, relu=False)
    assert copy.deepcopy(made) is made


_FAULTS = {
    "a dropped mask of the store": ("lanes_below(w.columns - column);", "static_cast<__mmask16>(0xffff);"),
    "the wrong row's step": ("call.steps[row]", "call.steps[0]"),
    "tiles of rows exchanged": (
        "finish_tile(call, sums[2], row + kSide, block);",
        "finish_tile(call, sums[1], row + kSide, block);",
    ),
    "a lost bias": ("w.bias ? _mm512", "false ? _mm512"),
    "the last depth forgotten": (
        "for (int64_t d = 0; d < deep; ++d) {",
        "for (int64_t d = 0; d < deep - 1; ++d) {",
    ),
    "a residual of another row": ("call.residual + at", "call.residual + column"),
}


@needs_tiles
@pytest.mark.parametrize("fault", _FAULTS)
def test_a_planted_fault_is_seen(fault, tmp_path):
    x, w, scale, bias = _operands((37, 130, 45), 7)
    residual = normal((37, 45), 8)
    wanted = _apart(x, w, scale, bias, residual, torch.float32)
    made = TileWeight(mutant(tmp_path, "int8_tiles.cpp", *_FAULTS[fault]), w, scale, bias, relu=False)
    try:
        with guarded_outputs():
            wrong = not made(x, torch.float32, residual).equal(wanted)
    except AssertionError:
        wrong = True
    assert wrong
