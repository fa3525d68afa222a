from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from automl.kernels.block_sparse_linear.blocks_math import SHAPES
from automl.kernels.block_sparse_linear.cases import arguments_of
from automl.kernels.block_sparse_linear.cases import bound
from tests.kernels.support import assert_cases
from tests.kernels.support import assert_served
from tests.kernels.support import fenced
from tests.kernels.support import few_examples
from tests.kernels.support import seeds
from tests.kernels.support import strided


def test_every_case_equals_the_reference():
    assert_cases("block_sparse_linear", "triton", least=80)


@few_examples
@given(
    shape=st.tuples(st.integers(0, 40), st.integers(1, 140), st.integers(1, 70)),
    size=st.sampled_from(SHAPES),
    dtype=st.sampled_from([torch.float32, torch.float16, torch.bfloat16]),
    sparsity=st.floats(0, 1),
    seed=seeds,
)
def test_any_call_equals_the_reference(shape, size, dtype, sparsity, seed):
    arguments = arguments_of(shape, size, dtype, seed=seed, sparsity=sparsity)
    held = {k: fenced(v) if isinstance(v, torch.Tensor) else v for k, v in arguments.items()}
    assert_served("block_sparse_linear", "triton", held, bound(arguments))
    held["x"] = strided(arguments["x"])
    assert_served("block_sparse_linear", "triton", held, bound(arguments))
