from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from automl.kernels.nm_linear import triton_impl
from automl.kernels.nm_linear.cases import arguments_of
from automl.kernels.nm_linear.cases import bound
from automl.kernels.nm_linear.cases import longest
from tests.kernels.support import assert_cases
from tests.kernels.support import assert_served
from tests.kernels.support import fenced
from tests.kernels.support import few_examples
from tests.kernels.support import seeds
from tests.kernels.support import strided


def test_every_case_equals_the_reference():
    assert_cases("nm_linear", "triton", least=60)


@few_examples
@given(
    shape=st.tuples(st.integers(0, 40), st.integers(1, 140), st.integers(1, 70)),
    pattern=st.sampled_from(["2:4", "4:8"]),
    dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.int8]),
    seed=seeds,
)
def test_any_call_equals_the_reference(shape, pattern, dtype, seed):
    arguments = arguments_of(shape, pattern, dtype, seed=seed)
    held = {k: fenced(v) if isinstance(v, torch.Tensor) else v for k, v in arguments.items()}
    assert_served("nm_linear", "triton", held, bound(arguments))
    assert_served("nm_linear", "triton", {**held, "x": strided(arguments["x"])}, bound(arguments))


def test_the_longest_sum_is_exact(monkeypatch):
    # Few long steps: the interpreter pays by the operation.
    wide = triton_impl.LaunchConfig(16, 1, 65536)
    monkeypatch.setattr(triton_impl, "CONFIGS", triton_impl.LaunchTable(wide, wide, wide))
    assert_served("nm_linear", "triton", longest())
