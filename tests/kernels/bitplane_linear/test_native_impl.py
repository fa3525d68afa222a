from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from automl.kernels.bitplane_linear import native_impl
from automl.kernels.bitplane_linear.cases import arguments_of
from automl.kernels.bitplane_linear.cases import bound
from automl.kernels.bitplane_linear.cases import cases
from automl.kernels.bitplane_linear.cases import edges
from automl.kernels.bitplane_linear.cpu_impl import pack
from automl.kernels.bitplane_linear.native_impl import NativePlanes
from automl.kernels.bitplane_linear.native_impl import block_words
from automl.kernels.bitplane_linear.planes_math import KINDS
from automl.kernels.bitplane_linear.reference import run as reference
from automl.kernels.cases import EXACT
from automl.kernels.cases import mismatch
from automl.kernels.native.library import native
from automl.kernels.native.library import using
from tests.kernels.native.support import mutant
from tests.kernels.native.support import needs_native
from tests.kernels.support import fenced
from tests.kernels.support import few_examples
from tests.kernels.support import guarded_outputs
from tests.kernels.support import normal
from tests.kernels.support import seeds
from tests.kernels.support import strided

pytestmark = needs_native


@pytest.fixture(params=["vector", "plain"])
def kernels(request):
    with using(request.param):
        yield native()


def _made(kernels, a: dict) -> NativePlanes:
    with using("off"):
        packed = pack(a["planes"].contiguous(), a["x"].shape[1], a["w_kind"])
    steps = {
        "scale": a["w_scale"],
        "zero": a["w_zero"],
        "bias": None if a["bias"] is None else a["bias"].float(),
    }
    return NativePlanes(kernels, packed.words, packed.sums, packed.inner, packed.kind, **steps)


def _wrong(kernels, a: dict) -> str | None:
    """Return how the compiled product differs from the reference, or None."""
    exact = a["out_dtype"] == torch.int32
    with guarded_outputs():
        y = _made(kernels, a)(a["x"], a["x_scale"], a["x_zero"], a["x_bits"], a["x_kind"], integers=exact)
    return mismatch(y, reference(**a), EXACT if exact else bound({**a, "out_dtype": torch.float32}))


def test_every_case_and_every_edge_equals_the_reference(kernels):
    for case in [*cases(), *edges()]:
        if case.arguments["x"].shape[0]:
            assert _wrong(kernels, case.arguments) is None, case.name


@few_examples
@given(
    shape=st.tuples(st.integers(1, 6), st.integers(1, 300), st.integers(1, 100)),
    bits=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    kinds=st.tuples(st.sampled_from(KINDS), st.sampled_from(KINDS)),
    seed=seeds,
    shared=st.sampled_from([0, 1 << 40]),
)
def test_any_call_equals_the_reference_with_poison_around_the_codes(
    kernels, shape, bits, kinds, seed, shared
):
    bits = tuple(1 if kind == "binary" else b for b, kind in zip(bits, kinds, strict=True))
    a = arguments_of(shape, bits, kinds, seed=seed, x_zero=True, w_zero=True)
    scales = {
        "x_scale": fenced(normal((shape[0],), seed).abs()),
        "w_scale": normal((shape[2],), seed + 1).abs(),
        "bias": normal((shape[2],), seed + 2),
        "out_dtype": torch.float32,
    }
    one = {"x_zero": a["x_zero"][0], "x_scale": torch.tensor(0.5), "w_zero": None}
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(native_impl, "_SHARED", shared)
        for x in (fenced(a["x"]), strided(a["x"])):
            for more in ({}, {"x_zero": None}, {"w_zero": None}, scales, {**scales, **one}):
                assert _wrong(kernels, {**a, "x": x, **more}) is None


def test_words_lie_by_blocks_of_channels():
    words = np.arange(2 * 3 * 33, dtype=np.uint64).reshape(2, 3, 33)
    blocks = block_words(words)
    assert blocks.shape == (2, 2, 3, 32)
    assert blocks[0, 1, 2, 31] == words[1, 2, 31]
    assert blocks[1, 1, 2, 0] == words[1, 2, 32]
    assert not blocks[1, :, :, 1:].any()


def test_a_copied_layer_shares_its_weight_and_without_the_library_there_is_none():
    a = arguments_of((1, 64, 8), (2, 2), ("unsigned", "signed"), seed=0)
    with using("vector"):
        made = pack(a["planes"], 64, "signed").native
    assert copy.deepcopy(made) is made
    with using("off"):
        assert pack(a["planes"], 64, "signed").native is None


_FAULTS = {
    "codes read past the end of a row": (
        "const __mmask64 held = count >= 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1;",
        "const __mmask64 held = ~uint64_t{0};",
    ),
    "a plane whose sign is forgotten": ("plane == bits - 1 ? -size : size", "false ? -size : size"),
    "a lost zero point": ("if (w.zero)", "if (false)"),
    "a lost zero point of the input": (
        "const uint32_t x_zero = call.x_zero ?",
        "const uint32_t x_zero = false ?",
    ),
    "the last channels of a block written past the end": (
        "w.columns - first < kBlock ? w.columns - first : kBlock;",
        "kBlock;",
    ),
    "the wrong plane of the input": ("x + t * w.count, w.count", "x, w.count"),
    "agreement of signs counted once": ("- 2u *", "- 1u *"),
}


@pytest.mark.parametrize("fault", _FAULTS)
def test_a_planted_fault_is_seen(fault, tmp_path):
    kernels = mutant(tmp_path, "bitplanes.cpp", *_FAULTS[fault])
    wrong = False
    for kinds in (("signed", "unsigned"), ("unsigned", "signed"), ("binary", "binary")):
        bits = (1, 1) if kinds[0] == "binary" else (3, 2)
        a = arguments_of((3, 77, 37), bits, kinds, seed=1, x_zero=True, w_zero=True)
        a["x"] = fenced(a["x"])
        try:
            wrong |= _wrong(kernels, a) is not None
        except AssertionError:
            wrong = True
    assert wrong
