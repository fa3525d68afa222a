from __future__ import annotations

import torch

from automl.kernels.w8a8_linear.reference import LONGEST
from automl.kernels.w8a8_linear.reference import run
from tests.kernels.support import codes


def test_it_is_the_integer_product_with_scales():
    x, w = codes((3, 50), -128, 127, 1), codes((4, 50), -128, 127, 2)
    y = run(
        x, torch.tensor([1.0, 0.5, 2.0]), w, torch.tensor([1.0, 2.0, 0.25, 4.0]), None, None, "none", None
    )
    total = torch.tensor(
        [[sum(a * b for a, b in zip(r, c, strict=True)) for c in w.tolist()] for r in x.tolist()]
    )
    steps = torch.tensor([1.0, 0.5, 2.0])[:, None] * torch.tensor([1.0, 2.0, 0.25, 4.0])
    assert torch.equal(y, total.double() * steps)


def test_the_longest_sum_is_the_last_that_fits():
    assert LONGEST * 128 * 128 < 2**31 <= (LONGEST + 1) * 128 * 128
