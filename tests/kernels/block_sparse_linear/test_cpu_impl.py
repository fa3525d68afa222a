from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from automl.kernels import table
from automl.kernels.block_sparse_linear.cases import arguments_of
from automl.kernels.block_sparse_linear.cases import bound
from automl.kernels.block_sparse_linear.cpu_impl import FEW_ROWS
from automl.kernels.block_sparse_linear.cpu_impl import pack
from tests.kernels.support import assert_cases
from tests.kernels.support import assert_served
from tests.kernels.support import few_examples
from tests.kernels.support import seeds


def test_every_case_equals_the_reference():
    assert_cases("block_sparse_linear", "cpu", least=50)


@few_examples
@given(
    shape=st.tuples(st.integers(0, 40), st.integers(1, 140), st.integers(1, 140)),
    size=st.sampled_from([(16, 16), (32, 32), (64, 64)]),
    dtype=st.sampled_from([torch.float32, torch.float16, torch.bfloat16]),
    sparsity=st.floats(0, 1),
    seed=seeds,
)
def test_any_call_equals_the_reference(shape, size, dtype, sparsity, seed):
    arguments = arguments_of(shape, size, dtype, seed=seed, sparsity=sparsity)
    assert_served("block_sparse_linear", "cpu", arguments, bound(arguments, "cpu"))


def test_few_rows_are_batched_unless_filling_up_would_cost_too_much(monkeypatch):
    even = arguments_of((1, 128, 128), (16, 16), torch.float32, seed=0, sparsity=0.0)
    packed = pack(even["blocks"], even["starts"], even["columns"], 128, 128)
    assert packed.batched
    # All blocks in one row of eight: a batch of equal rows would compute eight times as much.
    lone = {
        "starts": torch.tensor([0, *[8] * 8], dtype=torch.int32),
        "columns": torch.arange(8, dtype=torch.int32),
    }
    assert not pack(even["blocks"][:8], lone["starts"], lone["columns"], 128, 128).batched
    ways = []
    for way in ("_by_row", "_at_once"):
        plain = getattr(type(packed), way)
        monkeypatch.setattr(
            type(packed),
            way,
            lambda self, parts, way=way, plain=plain: ways.append(way) or plain(self, parts),
        )
    for rows in (FEW_ROWS, FEW_ROWS + 1):
        packed(torch.zeros(rows, 128))
    assert ways == ["_at_once", "_by_row"]


def test_infinity_in_an_input_that_an_empty_row_does_not_read_leaves_the_row_alone():
    arguments = arguments_of((2, 64, 64), (16, 16), torch.float32, seed=0, sparsity=0.0)
    starts = torch.tensor([0, 4, 8, 8, 8], dtype=torch.int32)
    arguments |= {"blocks": arguments["blocks"][:8], "columns": arguments["columns"][:8], "starts": starts}
    packed = pack(arguments["blocks"], starts, arguments["columns"], 64, 64)
    assert packed.batched
    x = arguments["x"].clone()
    x[0, 3] = torch.inf
    y = packed(x)
    assert y[:, 32:].eq(0).all()
    assert not y[0, :32].isfinite().any()


@pytest.mark.parametrize("rows", [1, 40])
def test_blocks_of_one_channel_are_refused_with_the_figure(rows):
    arguments = arguments_of((rows, 32, 4), (1, 16), torch.float32, seed=0)
    assert "times as long as dense float32; use blocks" in table.refusal(
        "block_sparse_linear", "cpu", arguments
    )
