from __future__ import annotations

import torch

from automl.kernels.w4a8_linear.reference import LONGEST
from automl.kernels.w4a8_linear.reference import run
from automl.kernels.w4a8_linear.scales_math import pack_signed
from tests.kernels.support import codes

_REST = (None, None, "none", torch.float32)


def test_integer_scales_give_the_big_integer_formula():
    x, w = codes((2, 10), -128, 127, 1), codes((3, 10), -8, 7, 2)
    scale = torch.tensor([[3, 100, 7], [1, 2, 3], [9, 9, 9]], dtype=torch.int32)
    y = run(x, torch.tensor(0.5), pack_signed(w), scale, 4, 1024, *_REST)
    for m in range(2):
        for n in range(3):
            total = sum(int(scale[n, k // 4]) * int(x[m, k]) * int(w[n, k]) for k in range(10))
            assert y[m, n].item() == total * 0.5 / 1024


def test_exact_multiples_give_the_same_with_integer_and_float_scales():
    x, w = codes((2, 10), -128, 127, 3), codes((3, 10), -8, 7, 4)
    scale = torch.tensor([[3, 100, 7], [1, 2, 3], [9, 9, 9]], dtype=torch.int32)
    integer = run(x, torch.tensor(0.5), pack_signed(w), scale, 4, 256, *_REST)
    floats = run(x, torch.tensor(0.5), pack_signed(w), scale / 256, 4, 0, *_REST)
    assert torch.equal(integer, floats)


def test_sixteen_fold_codes_fit_the_longest_sum():
    assert LONGEST * 128 * 8 * 16 < 2**31 <= (LONGEST + 1) * 128 * 8 * 16
