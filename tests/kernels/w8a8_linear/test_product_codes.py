from __future__ import annotations

import pytest
import torch

from automl.kernels.w8a8_linear import product_codes as module
from automl.kernels.w8a8_linear.cpu_impl import pack
from tests.kernels.support import codes
from tests.kernels.support import normal


@pytest.mark.parametrize(
    ("has", "unsigned"),
    [
        ({"avx512_vnni": True}, True),
        ({"avx_vnni": True}, True),
        ({"avx512_vnni": True, "amx_int8": True}, False),
        ({"avx_vnni": True, "avx_vnni_int8": True}, False),
        ({"avx2": True}, False),
        ({}, False),
    ],
)
def test_unsigned_codes_are_for_processors_that_multiply_no_others(monkeypatch, has, unsigned):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has)
    assert module.wants_unsigned.__wrapped__() is unsigned


@pytest.mark.parametrize("unsigned", [False, True])
def test_sums_of_either_form_are_exact_at_the_ends_of_the_range(monkeypatch, unsigned):
    monkeypatch.setattr(module, "wants_unsigned", lambda: unsigned)
    x, w = codes((5, 70), -128, 127, 1), codes((9, 70), -128, 127, 2)
    x[0], x[1], w[0], w[1] = -128, 127, -128, 127
    residual, steps = normal((5, 9), 3).round(), torch.tensor([1.0, 2, 4, 8, 16])
    packed = pack(w, torch.ones(9), None)
    sums = (x.double() @ w.double().t()).float()
    assert packed.static(x, 1.0).equal(sums)
    assert packed.bound(1.0)(x).equal(sums)
    assert packed.added(x, 1.0, residual.clone()).equal(sums + residual)
    assert packed.rows(x, steps).equal(sums * steps.unsqueeze(-1))
    strided = x.t().contiguous().t()
    assert packed.static(strided, 1.0).equal(sums)


def test_codes_keep_their_values_and_the_input_stays():
    x = torch.arange(-128, 128, dtype=torch.int16).to(torch.int8)
    before = x.clone()
    taken, zero = module.product_codes(x)
    assert (taken.int() - zero).equal(before.int())
    assert x.equal(before)
