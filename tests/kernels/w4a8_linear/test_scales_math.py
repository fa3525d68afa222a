from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from automl.core.errors import KernelError
from automl.kernels.w4a8_linear.scales_math import integer_scales
from automl.kernels.w4a8_linear.scales_math import multiplier
from automl.kernels.w4a8_linear.scales_math import odd_group
from automl.kernels.w4a8_linear.scales_math import pack_signed
from automl.kernels.w4a8_linear.scales_math import unpack_signed
from automl.kernels.w4a8_linear.scales_math import worst_sum
from tests.kernels.support import codes
from tests.kernels.support import few_examples
from tests.kernels.support import seeds


def test_the_nibble_trick_holds_for_every_byte():
    every = torch.arange(256, dtype=torch.int32).to(torch.uint8)[None]
    pair = unpack_signed(every, 512).reshape(256, 2).int()
    assert torch.equal((every[0] & 0xF0).view(torch.int8).int(), 16 * pair[:, 1])
    assert torch.equal((every[0] << 4).view(torch.int8).int(), 16 * pair[:, 0])


def test_packing_keeps_every_code_also_the_odd_last_one():
    for inner in (1, 2, 9):
        given_codes = codes((4, inner), -8, 7, inner)
        assert torch.equal(unpack_signed(pack_signed(given_codes), inner), given_codes)


def test_the_worst_sum_is_reached_and_counts_the_short_last_group():
    scale = torch.tensor([[3, 5], [1, 1]], dtype=torch.int32)
    worst = 128 * 8 * (4 * 3 + 2 * 5)
    assert worst_sum(scale, 4, 6) == worst
    x, w = torch.full((6,), -128), torch.full((6,), -8)
    per_input = torch.tensor([3] * 4 + [5] * 2)
    assert int((x * w * per_input).sum()) == worst
    assert worst_sum(scale[:0], 4, 6) == 0


@few_examples
@given(seed=seeds, group=st.sampled_from([32, 64, 128]), exponent=st.integers(-12, 4))
def test_the_multiplier_is_the_largest_that_fits(seed, group, exponent):
    g = torch.Generator().manual_seed(seed)
    scale = torch.rand(5, 6, generator=g).add_(0.2) * 2.0**exponent
    inner = group * 5 + 3
    alpha = multiplier(scale, group, inner)
    fits = [worst_sum((scale.double() * a).round().long(), group, inner) < 2**31 for a in (alpha, 2 * alpha)]
    assert fits == [True, False]


def test_scales_that_are_multiples_stay_exact():
    scale = torch.tensor([[3.0, 5.0], [7.0, 2.0]]) / 1024
    rounded, alpha = integer_scales(scale, 64, 128)
    assert alpha >= 1024
    assert torch.equal(rounded.double() / alpha, scale.double())


def test_ordinary_weights_keep_an_error_far_below_that_of_four_bits():
    scale = torch.randn(64, 16, 128, generator=torch.Generator().manual_seed(0)).mul_(0.02).abs().amax(-1) / 7
    rounded, alpha = integer_scales(scale, 128, 2048)
    # Rounding normal weights to 15 levels in groups of 128 errs by 0.118 relative to their size.
    assert ((rounded / alpha - scale).abs() / scale).max() < 0.118 / 50


@pytest.mark.parametrize("bad", [0.0, -1.0, torch.nan, torch.inf])
def test_a_bad_scale_is_named(bad):
    with pytest.raises(KernelError, match=f"1 of 2 are not positive and finite, such as {bad}"):
        integer_scales(torch.tensor([[1.0, bad]]), 4, 8)


def test_scales_too_far_apart_are_refused():
    with pytest.raises(KernelError, match="use float group scales"):
        integer_scales(torch.tensor([[1.0, 1e-7]]), 128, 256)
    with pytest.raises(KernelError, match="multiplier 0"):
        integer_scales(torch.tensor([[1e9, 1e9]]), 128, 256)


def test_odd_groups_begin_inside_a_byte_unless_there_is_one_only():
    assert odd_group(7, 1) is None
    assert odd_group(8, 3) is None
    assert "group=7" in odd_group(7, 2)
