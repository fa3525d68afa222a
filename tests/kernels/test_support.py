"""The guards of the kernel tests see what they are there for."""

from __future__ import annotations

import pytest
import torch

from tests.kernels.support import GUARD
from tests.kernels.support import fenced
from tests.kernels.support import guarded_outputs
from tests.kernels.support import strided


def test_outputs_start_poisoned():
    with guarded_outputs():
        assert torch.empty((2, 3)).isnan().all()
        assert (torch.empty((2,), dtype=torch.int8) == -77).all()


def test_a_write_past_the_end_is_seen():
    def one_too_far():
        with guarded_outputs() as made:
            torch.empty((2, 3))
            made[0][0][GUARD + 6] = 1.0

    with pytest.raises(AssertionError, match="outside of an output of 6"):
        one_too_far()


def test_strided_and_fenced_keep_the_values():
    x = torch.arange(6.0).reshape(2, 3)
    assert torch.equal(strided(x), x)
    assert not strided(x).is_contiguous()
    assert torch.equal(fenced(x), x)
