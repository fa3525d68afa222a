from __future__ import annotations

import pytest
import torch

from automl.kernels.nm_linear.cases import arguments_of
from automl.kernels.nm_linear.nm_math import unpack_nm
from automl.kernels.nm_linear.reference import LONGEST
from automl.kernels.nm_linear.reference import run


@pytest.mark.parametrize("pattern", ["2:4", "4:8"])
def test_it_is_the_product_with_the_dense_weight(pattern):
    arguments = arguments_of((5, 37, 6), pattern, torch.int8, seed=1)
    dense = unpack_nm(arguments["values"], arguments["mask"], 37)
    assert torch.equal(run(**arguments), arguments["x"].int() @ dense.int().t())


def test_scales_and_bias_follow():
    arguments = arguments_of((2, 16, 3), "2:4", torch.int8, seed=2)
    total = run(**arguments).double()
    more = {
        "x_scale": torch.tensor([2.0, 4.0]),
        "w_scale": torch.tensor([1.0, 0.5, 0.25]),
        "bias": torch.ones(3),
    }
    y = run(**{**arguments, **more, "out_dtype": torch.float32})
    assert torch.equal(y, total * more["x_scale"].double()[:, None] * more["w_scale"].double() + 1)


def test_the_longest_sum_is_the_last_that_fits():
    stored = LONGEST // 8 * 4 + min(LONGEST % 8, 4)
    assert stored * 128 * 128 < 2**31 <= (stored + 1) * 128 * 128
