from __future__ import annotations

import pytest

from automl.kernels.native.library import using
from automl.kernels.w8a8_conv import reference as conv_reference
from automl.kernels.w8a8_linear import reference as linear_reference
from automl.searchspaces.graph import Site
from automl.targets import kernel_sites
from automl.targets.kernel_sites import cpu_strike
from automl.targets.kernel_sites import kernel_of
from automl.targets.kernel_sites import triton_strike
from tests.kernels.native.support import needs_native


def _linear(n: int = 32, k: int = 64, rows: int = 1) -> Site:
    return Site("a", "linear", "linear", (n, k), 1, True, n * k * rows, rows)


def _conv(groups: int = 1, rank: int = 4, macs: int = 1 << 24, channels: int = 8) -> Site:
    return Site("c", "conv", "conv2d", (8, channels // groups, 3, 3)[:rank], groups, True, macs, 16)


@pytest.mark.parametrize(
    ("option", "four_bit", "kernel"),
    [
        ("fp", True, None),
        ("w8a8", True, "w8a8_linear"),
        ("w4a8", True, "w4a8_linear"),
        ("w4a8", False, "w8a8_linear"),
        ("w8", False, "w8a16_linear"),
        ("w4g64", False, "w4a16_linear"),
    ],
)
def test_every_option_has_its_kernel(option, four_bit, kernel):
    assert kernel_of(option, four_bit=four_bit) == kernel


def test_a_convolution_has_a_kernel_of_its_own_where_there_is_one():
    assert kernel_of("w8a8", four_bit=False, convolves=True) == "w8a8_conv"
    assert kernel_of("fp", four_bit=False, convolves=True) is None


def test_the_longest_sums_are_those_of_the_kernels():
    assert kernel_sites._LONGEST == linear_reference.LONGEST
    assert kernel_sites._LONGEST_UNSIGNED == conv_reference.LONGEST


@pytest.mark.parametrize(
    ("site", "option", "batch", "words"),
    [
        (_linear(), "w8a8", 1, None),
        (_linear(), "w8", 4, None),
        (_linear(), "w8", 5, "5 rows"),
        (_linear(rows=16), "w4g64", 1, "16 rows"),
        (_linear(n=30), "w8", 1, "multiples of 16 and 32"),
        (_linear(k=96), "w4g64", 1, "not a multiple of the group 64"),
        (_linear(k=131_072), "w8a8", 1, "overflow int32"),
        (_linear(), "w4a8", 1, "as int8"),
        (_conv(), "w8a8", 1, None),
        (_conv(groups=8, macs=1000), "w8a8", 1, None),
        (_conv(macs=1 << 20), "w8a8", 1, "1048576 multiply-accumulates: torch's own float convolution"),
        (_conv(macs=1 << 20), "w8a8", 2, None),
        (_conv(rank=3), "w8a8", 1, "two dimensions"),
        (_conv(channels=7311), "w8a8", 1, "65799 products: sums of more than 65793 8-bit products overflow"),
        (_conv(), "w4a8", 1, "as int8"),
        (_conv(), "w8", 1, "not for convolutions"),
    ],
)
def test_the_cpu_strikes_what_does_not_pay_or_fit(site, option, batch, words):
    with using("off"):
        reason = cpu_strike(site, option, batch)
    assert reason is None if words is None else words in (reason or "")


@needs_native
@pytest.mark.parametrize(
    ("site", "option", "batch", "words"),
    [
        (_linear(), "w8", 8, None),
        (_linear(n=30), "w8", 1, None),
        (_linear(), "w8", 9, "9 rows: above 8"),
        (_linear(k=96), "w4g64", 1, "not a multiple of the group 64"),
    ],
)
def test_compiled_kernels_take_more_rows_and_any_shape(site, option, batch, words):
    with using("vector"):
        reason = cpu_strike(site, option, batch)
    assert reason is None if words is None else words in (reason or "")


@pytest.mark.parametrize(
    ("site", "option", "words"),
    [
        (_linear(), "w4a8", None),
        (_linear(rows=100), "w4g64", None),
        (_conv(), "w8a8", None),
        (_conv(groups=8), "w8a8", "single group"),
        (_conv(rank=3), "w8a8", "two dimensions"),
        (_linear(), "w3a8", "in 8 bits"),
    ],
)
def test_triton_strikes_what_has_no_kernel(site, option, words):
    reason = triton_strike(site, option)
    assert reason is None if words is None else words in (reason or "")
