from __future__ import annotations

import pytest
import torch

from automl.kernels.cpu_contenders import BASELINE
from automl.kernels.cpu_contenders import WRAPPED
from automl.kernels.cpu_contenders import contenders
from automl.kernels.native.library import using


@pytest.mark.parametrize("rows", [1, 20])
def test_every_call_gives_a_product_of_the_shape(rows):
    calls = contenders((rows, 64, 48))
    assert BASELINE in calls
    for call in calls.values():
        assert call().shape == (rows, 48)


def test_the_integer_products_are_near_the_float_one():
    calls = contenders((5, 256, 64))
    exact = calls[BASELINE]()
    for name, limit in (("w8a8 static", 0.03), ("w8a8 dynamic per row", 0.03), ("w4a8 static", 0.3)):
        assert (calls[name]() - exact).norm() < limit * exact.norm(), name


def test_wrapped_calls_give_what_they_wrap():
    with using("off"):
        calls = contenders((1, 64, 48))
    for ours, bare in WRAPPED.items():
        assert torch.equal(calls[ours](), calls[bare]())


def test_calls_that_stand_in_for_a_bare_one_give_nearly_the_same():
    calls = contenders((1, 64, 48))
    for ours, bare in WRAPPED.items():
        mine, theirs = calls[ours]().float(), calls[bare]().float()
        assert (mine - theirs).norm() < 0.01 * theirs.norm()
