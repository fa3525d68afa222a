from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from automl.kernels.bitplane_linear import triton_impl
from automl.kernels.bitplane_linear.cases import arguments_of
from automl.kernels.bitplane_linear.cases import edges
from automl.kernels.bitplane_linear.planes_math import KINDS
from automl.kernels.bitplane_linear.triton_impl import CONFIGS
from automl.kernels.bitplane_linear.triton_impl import config_of
from automl.kernels.launch import LaunchConfig
from tests.kernels.support import assert_cases
from tests.kernels.support import assert_served
from tests.kernels.support import fenced
from tests.kernels.support import few_examples
from tests.kernels.support import seeds
from tests.kernels.support import strided


def test_every_case_equals_the_reference():
    assert_cases("bitplane_linear", "triton", least=100)


@few_examples
@given(
    shape=st.tuples(st.integers(0, 40), st.integers(1, 140), st.integers(1, 70)),
    bits=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    kinds=st.tuples(st.sampled_from(KINDS), st.sampled_from(KINDS)),
    seed=seeds,
)
def test_any_call_equals_the_reference(shape, bits, kinds, seed):
    bits = tuple(1 if kind == "binary" else b for b, kind in zip(bits, kinds, strict=True))
    arguments = arguments_of(
        shape, bits, kinds, seed=seed, x_zero=kinds[0] != "binary", w_zero=kinds[1] != "binary"
    )
    held = {k: fenced(v) if isinstance(v, torch.Tensor) else v for k, v in arguments.items()}
    assert_served("bitplane_linear", "triton", held)
    assert_served("bitplane_linear", "triton", {**held, "x": strided(arguments["x"]), "w_zero": None})


def test_sums_at_the_end_of_int32_are_exact(monkeypatch):
    # One step over all words: the interpreter pays by the operation.
    monkeypatch.setattr(triton_impl, "_PACK_WORDS", 2048)
    monkeypatch.setattr(triton_impl, "CONFIGS", (("edge", 2, LaunchConfig(2, 1, 8192)),))
    for case in edges():
        assert_served("bitplane_linear", "triton", case.arguments)


def test_every_number_of_rows_has_a_launch_that_holds_it():
    for rows in (1, 2, 4, 5, 16, 17, 10_000):
        config = config_of(rows)
        assert config in [c for _, _, c in CONFIGS]
        assert config.block_m >= min(rows, 17)
