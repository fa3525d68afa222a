from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from automl.core.errors import KernelError
from automl.kernels.block_sparse_linear.blocks_math import SHAPES
from automl.kernels.block_sparse_linear.blocks_math import pack_blocks
from automl.kernels.block_sparse_linear.blocks_math import prune_blocks
from automl.kernels.block_sparse_linear.blocks_math import unpack_blocks
from tests.kernels.support import few_examples
from tests.kernels.support import normal
from tests.kernels.support import seeds


@few_examples
@given(
    outputs=st.integers(1, 100),
    inner=st.integers(1, 100),
    size=st.sampled_from(SHAPES),
    sparsity=st.floats(0, 1),
    seed=seeds,
)
def test_packing_is_undone_by_unpacking(outputs, inner, size, sparsity, seed):
    pruned = prune_blocks(normal((outputs, inner), seed), size, sparsity)
    kept = pack_blocks(pruned, size)
    assert torch.equal(unpack_blocks(kept.blocks, kept.starts, kept.columns, outputs, inner), pruned)
    total = -(-outputs // size[0]) * -(-inner // size[1])
    assert kept.density == pytest.approx(1 - round(sparsity * total) / total)


def test_the_blocks_of_a_row_are_one_matrix_of_the_inputs_they_read():
    weight = prune_blocks(normal((32, 64), 1), (16, 16), 0.5)
    kept = pack_blocks(weight, (16, 16))
    for row, (start, stop) in enumerate(zip(kept.starts, kept.starts[1:], strict=False)):
        read = torch.cat([torch.arange(16) + 16 * int(c) for c in kept.columns[start:stop]])
        assert torch.equal(
            kept.blocks[start:stop].reshape(-1, 16), weight[16 * row : 16 * row + 16, read].t()
        )
        assert kept.columns[start:stop].equal(kept.columns[start:stop].sort().values)


def test_pruning_drops_the_smallest_blocks():
    weight = torch.ones(32, 32)
    weight[:16, 16:] = 3
    weight[16:, :16] = 2
    left = prune_blocks(weight, (16, 16), 0.5)
    assert left[:16, 16:].eq(3).all()
    assert left[16:, :16].eq(2).all()
    assert left.count_nonzero() == 512


@pytest.mark.parametrize(
    ("weight", "size", "words"),
    [
        (torch.ones(2, 8), (8, 8), "blocks of 8x8; allowed: 16x16, 32x32, 64x64, 1x16"),
        (torch.tensor([[torch.inf]]), (16, 16), "NaN or infinity"),
    ],
)
def test_a_weight_that_does_not_fit_is_named(weight, size, words):
    with pytest.raises(KernelError, match=words):
        pack_blocks(weight, size)
