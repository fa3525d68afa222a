from __future__ import annotations

import pytest
import torch

from automl.kernels.bitplane_linear.cases import arguments_of
from automl.kernels.bitplane_linear.planes_math import pack_planes
from automl.kernels.bitplane_linear.planes_math import plane_weights
from automl.kernels.bitplane_linear.planes_math import unpack_planes
from automl.kernels.bitplane_linear.reference import run


def ones(words: torch.Tensor) -> torch.Tensor:
    """Return the set bits of int32 words, one by one."""
    return sum((words >> bit) & 1 for bit in range(32)).abs()


@pytest.mark.parametrize("x_bits", range(1, 9))
@pytest.mark.parametrize("w_bits", range(1, 9))
def test_counting_planes_gives_the_same_sum_as_multiplying_codes(x_bits, w_bits):
    arguments = arguments_of((3, 45, 6), (x_bits, w_bits), ("signed", "unsigned"), seed=x_bits + 10 * w_bits)
    x_planes, w_planes = pack_planes(arguments["x"], x_bits, "signed"), arguments["planes"]
    total = torch.zeros(3, 6, dtype=torch.int64)
    for x_plane, x_weight in zip(x_planes, plane_weights(x_bits, "signed"), strict=True):
        for w_plane, w_weight in zip(w_planes, plane_weights(w_bits, "unsigned"), strict=True):
            total += x_weight * w_weight * ones(x_plane[:, :, None] & w_plane[:, None, :]).sum(0)
    assert torch.equal(total.to(torch.int32), run(**arguments))


def test_xnor_is_the_product_of_signs():
    arguments = arguments_of((4, 70, 5), (1, 1), ("binary", "binary"), seed=1)
    x_plane, w_plane = pack_planes(arguments["x"], 1, "binary")[0], arguments["planes"][0]
    counted = 70 - 2 * ones(x_plane[:, :, None] ^ w_plane[:, None, :]).sum(0)
    assert torch.equal(counted.to(torch.int32), run(**arguments))
    signs = unpack_planes(arguments["planes"], 70, "binary").int()
    assert torch.equal(arguments["x"].int() @ signs.t(), run(**arguments))


def test_zero_points_are_taken_from_codes():
    arguments = arguments_of((3, 20, 4), (3, 2), ("unsigned", "unsigned"), seed=2, x_zero=True, w_zero=True)
    x = arguments["x"].long() - arguments["x_zero"].long()[:, None]
    w = unpack_planes(arguments["planes"], 20, "unsigned").long() - arguments["w_zero"].long()[:, None]
    assert torch.equal(run(**arguments), (x @ w.t()).int())


def test_scales_and_bias_follow():
    arguments = arguments_of((2, 8, 3), (2, 2), ("unsigned", "signed"), seed=3)
    total = run(**arguments).double()
    more = {
        "x_scale": torch.tensor([2.0, 4.0]),
        "w_scale": torch.tensor([1.0, 0.5, 0.25]),
        "bias": torch.ones(3),
    }
    y = run(**{**arguments, **more, "out_dtype": torch.float32})
    assert torch.equal(y, total * more["x_scale"].double()[:, None] * more["w_scale"].double() + 1)
