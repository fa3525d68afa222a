from __future__ import annotations

import pytest
import torch

from automl.kernels.fake_quantize.reference import run
from automl.kernels.fake_quantize.reference import run_backward
from tests.kernels.support import normal


def test_values_land_on_the_grid_and_ties_round_to_even():
    x = torch.tensor([0.25, 0.75, -0.25, 1.0, 9.0, -9.0])
    y = run(x, torch.tensor(0.5), None, "tensor", 0, 1, -4, 3)
    assert y.tolist() == [0.0, 1.0, 0.0, 1.0, 1.5, -2.0]


def test_a_zero_point_moves_the_range_and_keeps_zero_exact():
    x = torch.tensor([0.0, -1.0, 2.0, 5.0])
    y = run(x, torch.tensor(1.0), torch.tensor(1, dtype=torch.int32), "tensor", 0, 1, 0, 3)
    assert y.tolist() == [0.0, -1.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("granularity", "axis", "shape"), [("tensor", 0, ()), ("channel", 1, (64,)), ("group", 0, (8, 2))]
)
def test_applying_it_twice_changes_nothing(granularity, axis, shape):
    x = normal((8, 64), 3)
    # A power of two keeps the product exact, so the second quotient is an integer again.
    scale = torch.full(shape, 2.0**-5)
    once = run(x, scale, None, granularity, axis, 32, -8, 7)
    assert torch.equal(run(once, scale, None, granularity, axis, 32, -8, 7), once)
    assert len(once.unique()) <= 16


def test_the_gradient_passes_where_nothing_was_clipped():
    x = torch.tensor([0.0, 7.4, 7.6, -8.5, -8.6, torch.nan])
    grad = torch.arange(1.0, 7.0)
    slope = run_backward(grad, x, torch.tensor(1.0), None, "tensor", 0, 1, -8, 7)
    assert slope.tolist() == [1.0, 2.0, 0.0, 4.0, 0.0, 0.0]


def test_nan_stays_visible():
    y = run(torch.tensor([torch.nan, torch.inf]), torch.tensor(1.0), None, "tensor", 0, 1, -8, 7)
    assert y.isnan().tolist() == [True, False]
    assert y[1] == 7
