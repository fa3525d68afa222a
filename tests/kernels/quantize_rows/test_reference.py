from __future__ import annotations

import torch

from automl.kernels.quantize_rows.reference import TINY
from automl.kernels.quantize_rows.reference import run


def test_the_largest_element_of_a_row_gets_the_largest_code():
    x = torch.tensor([[1.0, -2.0, 0.5], [0.0, 0.25, 0.125]])
    codes, scale = run(x, "int8", "row", None)
    assert codes.tolist() == [[64, -127, 32], [0, 127, 64]]
    assert torch.equal(scale, torch.tensor([2 / 127, 0.25 / 127]))


def test_ties_round_to_even():
    x = torch.tensor([[0.5, 1.5, 2.5, -0.5, -1.5, 127.5]])
    codes, _ = run(x, "int8", "tensor", torch.tensor(1.0))
    assert codes.tolist() == [[0, 2, 2, 0, -2, 127]]


def test_a_static_scale_saturates():
    codes, scale = run(torch.tensor([[-1000.0, 1000.0]]), "int8", "tensor", torch.tensor(1.0))
    assert codes.tolist() == [[-128, 127]]
    assert scale == 1.0


def test_zero_rows_keep_a_positive_scale_and_bad_rows_are_marked():
    x = torch.zeros(3, 4)
    x[1, 0], x[2, 1] = torch.nan, -torch.inf
    codes, scale = run(x, "int8", "row", None)
    assert codes[0].tolist() == [0, 0, 0, 0]
    assert scale[0] == TINY
    assert scale[1:].isnan().all()
    assert run(x, "int8", "tensor", None)[1].isnan()


def test_the_step_error_is_at_most_half_a_step():
    x = torch.randn(50, 64, generator=torch.Generator().manual_seed(0))
    codes, scale = run(x, "int8", "row", None)
    assert ((codes * scale[:, None] - x).abs() <= scale[:, None] * 0.5001).all()
