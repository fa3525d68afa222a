from __future__ import annotations

import pytest
import torch

from automl.kernels.block_sparse_linear.blocks_math import SHAPES
from automl.kernels.block_sparse_linear.blocks_math import pack_blocks
from automl.kernels.block_sparse_linear.blocks_math import prune_blocks
from automl.kernels.block_sparse_linear.reference import run
from tests.kernels.support import normal


@pytest.mark.parametrize("size", SHAPES)
def test_it_is_the_product_with_the_pruned_weight(size):
    weight, x, bias = prune_blocks(normal((50, 70), 1), size, 0.7), normal((4, 70), 2), normal((50,), 3)
    kept = pack_blocks(weight, size)
    y = run(x, kept.blocks, kept.starts, kept.columns, bias, 50, torch.float32)
    assert torch.equal(y, x.double() @ weight.double().t() + bias.double())
