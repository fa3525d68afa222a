from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from automl.kernels.native.library import using
from automl.kernels.weight_only import native_impl
from automl.kernels.weight_only.cases import make_arguments
from automl.kernels.weight_only.native_impl import NativeWeight
from automl.kernels.weight_only.native_impl import block_codes
from automl.kernels.weight_only.native_impl import block_steps
from automl.kernels.weight_only.native_impl import native_weight
from automl.kernels.weight_only.reference import dequantize
from automl.kernels.weight_only.weight import Weight
from tests.kernels.native.support import mutant
from tests.kernels.native.support import needs_native
from tests.kernels.support import fenced
from tests.kernels.support import few_examples
from tests.kernels.support import guarded_outputs
from tests.kernels.support import normal
from tests.kernels.support import seeds
from tests.kernels.support import strided

pytestmark = needs_native
FORMATS = [(4, "symmetric"), (4, "asymmetric"), (4, "nf4"), (4, "fp4"), (8, "symmetric"), (8, "asymmetric")]


@pytest.fixture(params=["vector", "plain"])
def way(request):
    with using(request.param):
        yield request.param


def _weight(bits: int, kind: str, shape, seed: int = 1) -> Weight:
    """Return a weight for (rows, inner, columns, group)."""
    a = make_arguments(bits, shape, kind, seed)
    return Weight(bits, a["codes"], a["scale"], a["zero"], a["table"], shape[3], shape[1])


def _limit(weight: Weight, x: torch.Tensor) -> torch.Tensor:
    """Return the stated bound of float32 sums: 16 roundings of the terms, as large as codes make them.

    A zero point is subtracted from sums of codes less the middle one, and a group's inputs are rounded to the
    4,194,304th part of their largest.
    """
    middle = 0 if weight.table is not None else 8 if weight.bits == 4 else 128
    groups = torch.arange(weight.inner) // weight.group
    size = dequantize(weight).abs() + middle * weight.scale.double()[:, groups]
    largest = torch.stack(
        [x.double().abs()[:, groups == g].amax(1) for g in range(int(groups[-1]) + 1)], dim=1
    )[:, groups]
    return (x.double().abs() * 16 * 2.0**-24 + largest * 2.0**-22) @ size.t()


def _worst(made: NativeWeight, weight: Weight, x: torch.Tensor, bias: torch.Tensor | None = None) -> float:
    """Return the largest distance from float64 in units of the bound."""
    with guarded_outputs():
        y = made(x)
    assert y.dtype == x.dtype
    wanted = x.double() @ dequantize(weight).t()
    limit = _limit(weight, x)
    if bias is not None:
        wanted, limit = wanted + bias.double(), limit + bias.double().abs() * 2.0**-23
    kind = torch.finfo(x.dtype)
    limit = limit + wanted.abs() * kind.eps / 2 + kind.tiny
    return float(((y.double() - wanted).abs() / limit).nan_to_num(nan=99.0).max()) if y.numel() else 0.0


@few_examples
@given(
    shape=st.tuples(st.integers(0, 9), st.integers(1, 300), st.integers(1, 100), st.integers(1, 140)),
    form=st.sampled_from(FORMATS),
    dtype=st.sampled_from([torch.float32, torch.float16, torch.bfloat16]),
    seed=seeds,
    shared=st.sampled_from([0, 1 << 40]),
)
def test_any_weight_keeps_the_bound_of_float32_sums(way, shape, form, dtype, seed, shared):
    weight = _weight(*form, shape, seed)
    x, bias = normal(shape[:2], seed + 1, dtype), normal((shape[2],), seed + 2)
    made = native_weight(weight, bias)
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(native_impl, "_SHARED", shared)
        for form_of_x in (fenced(x), strided(x), x.t().contiguous().t()):
            assert _worst(made, weight, form_of_x, bias) <= 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_long_input_is_taken_in_parts(way, dtype):
    weight, x = _weight(4, "asymmetric", (1, 70, 20, 32)), normal((150, 70), 3, dtype)
    assert _worst(native_weight(weight, None), weight, fenced(x)) <= 1


@pytest.mark.parametrize("form", FORMATS)
def test_inputs_of_very_different_sizes_keep_the_bound(way, form):
    weight = _weight(*form, (3, 128, 20, 32))
    x = normal((3, 128), 2) * torch.logspace(-30, 30, 128)
    x[1] *= 1e-12
    x[2, 64:96] = 0
    assert _worst(native_weight(weight, None), weight, x) <= 1


def test_groups_of_the_smallest_and_the_largest_numbers_are_finite(way):
    weight = _weight(4, "symmetric", (2, 32, 16, 16))
    x = torch.full((2, 32), 1e-44)
    x[1] = 1e36
    assert _worst(native_weight(weight, None), weight, x) <= 1


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_number_that_is_not_finite_spoils_its_row_alone(way, form, bad):
    weight = _weight(*form, (4, 70, 20, 32))
    x = normal((4, 70), 1)
    x[2, 69] = bad
    y = native_weight(weight, None)(x)
    assert y.isfinite().all(dim=1).tolist() == [True, True, False, True]
    assert not y[2].isfinite().any()


def test_integers_that_fit_are_summed_exactly(way):
    g = torch.Generator().manual_seed(0)
    codes = torch.randint(-128, 128, (40, 100), generator=g).to(torch.int8)
    weight = Weight(8, codes, torch.ones(40, 1), None, None, 100, 100)
    x = torch.randint(-500, 500, (3, 100), generator=g).float()
    assert native_weight(weight, None)(x).equal((x.double() @ codes.double().t()).float())


def test_the_longest_group_does_not_overflow_and_longer_ones_are_summed_in_float32(way):
    for inner in (65_000, 65_004):
        weight = Weight(
            8, torch.full((1, inner), 255, dtype=torch.uint8), torch.ones(1, 1), None, None, inner, inner
        )
        x = torch.full((1, inner), -(2.0**22) + 1)
        y = native_weight(weight, None)(x)
        assert float(y) == pytest.approx(float(x[0, 0]) * 127 * inner, rel=1e-5)


def test_codes_lie_by_blocks_and_words():
    codes = torch.tensor([[0xF0 + j % 16 for j in range(5)]], dtype=torch.uint8)
    four = block_codes(Weight(4, codes, torch.ones(1, 1), None, None, 10, 9))
    assert four.shape == (1, 2, 16)
    # Inputs 0 to 8 are the codes 0, 15, 1, 15, 2, 15, 3, 15, 4.
    assert four[0, 0, 0] == int.from_bytes(bytes([0x20, 0xFF, 0x31, 0xFF]), "little", signed=True)
    assert four[0, 1, 0] == 4
    assert not four[0, :, 1:].any()
    signed = torch.tensor([[-128, 0, 127]], dtype=torch.int8)
    eight = block_codes(Weight(8, signed, torch.ones(1, 1), None, None, 3, 3))
    assert eight[0, 0, 0] == 0x00FF8000
    assert block_steps(torch.tensor([[1.0, 2.0]]))[0, :, 0].tolist() == [1, 2]


def test_a_copied_layer_shares_its_weight_and_without_the_library_there_is_none(way):
    made = native_weight(_weight(4, "symmetric", (1, 128, 32, 64)), torch.zeros(32))
    assert copy.deepcopy(made) is made
    with using("off"):
        assert native_weight(_weight(4, "symmetric", (1, 128, 32, 64)), None) is None


_FAULTS = {
    "a dropped mask of the store": (
        "weight_only.cpp",
        "lanes_below(w.columns - block * kLanes);",
        "static_cast<__mmask16>(0xffff);",
    ),
    "a dropped mask of the inputs": (
        "weight_only_inputs.h",
        "load_lanes<type>(from, first + i, lanes_below(size - i))",
        "load_lanes<type>(from, first + i, 0xffff)",
    ),
    "a wrong group index": (
        "weight_only.cpp",
        "_mm512_loadu_ps(w.scale + at_group(layout, block + b, g));",
        "_mm512_loadu_ps(w.scale + at_group(layout, block + b, g > 0 ? g - 1 : g));",
    ),
    "a lost zero point": ("weight_only.cpp", "if (w.offset) {", "if (false) {"),
    "a middle code forgotten": ("weight_only_inputs.h", "-middle * _mm512", "0 * _mm512"),
    "the wrong block's bias": ("weight_only.cpp", "w.bias + block * kLanes));", "w.bias));"),
    "a lost digit": (
        "weight_only.cpp",
        "value = _mm512_fmadd_ps(value, base, _mm512_cvtepi32_ps(s[0]));",
        "value = _mm512_mul_ps(value, base);",
    ),
    "another row's inputs": (
        "weight_only.cpp",
        "digits + (r * kDigits + d) * inputs",
        "digits + d * inputs",
    ),
}


@pytest.mark.parametrize("fault", _FAULTS)
def test_a_planted_fault_is_seen(fault, tmp_path):
    kernels = mutant(tmp_path, *_FAULTS[fault])
    wrong = False
    for form in FORMATS:
        weight = _weight(*form, (3, 150, 37, 36))
        x, bias = fenced(normal((3, 150), 5)), fenced(normal((37,), 6))
        try:
            wrong |= _worst(NativeWeight(kernels, weight, bias), weight, x, bias) > 1
        except AssertionError:
            wrong = True
    assert wrong
