"""Every contest at a small shape in the interpreter: calls compute what they say, bytes are counted."""

from __future__ import annotations

import pytest
import torch

from automl.core.errors import KernelError
from automl.kernels import table
from automl.kernels.device_contenders import CONTESTS
from automl.kernels.device_contenders import OURS
from automl.kernels.device_contenders import SHAPES
from automl.kernels.device_contenders import contest

SHAPE = (32, 128, 64)


@pytest.mark.parametrize("kernel", CONTESTS)
def test_our_call_is_the_kernel_and_torch_has_a_rival_of_the_same_size(kernel):
    found = contest(kernel, SHAPE, "cpu")
    assert next(iter(found.calls)) == OURS
    assert len(found.calls) > 1, found.missing
    ours = found.calls[OURS]()
    expected = table.implementation(kernel, "reference")(**found.calls[OURS].keywords)
    first = ours[0] if isinstance(ours, tuple) else ours
    wanted = expected[0] if isinstance(expected, tuple) else expected
    torch.testing.assert_close(first.double(), wanted.double(), rtol=0.02, atol=1e-3)
    for name, call in found.calls.items():
        result = call()
        assert (result[0] if isinstance(result, tuple) else result).shape == first.shape, name


@pytest.mark.parametrize("kernel", CONTESTS)
def test_seeds_give_operands_of_their_own_and_equal_work(kernel):
    first, second = (contest(kernel, SHAPE, "cpu", seed) for seed in (0, 1))
    assert not torch.equal(first.calls[OURS].keywords["x"], second.calls[OURS].keywords["x"])
    assert (first.macs, first.moved) == (second.macs, second.moved)


def test_work_is_counted_by_hand_for_int8():
    m, k, n = SHAPE
    found = contest("w8a8_linear", SHAPE, "cpu")
    # Codes, a float32 scale per row and per channel, bfloat16 results.
    assert found.moved == m * k + n * k + 4 * m + 4 * n + 2 * m * n
    assert (found.peak, found.macs) == ("int8", m * k * n)


def test_sparse_products_count_what_is_stored():
    m, k, n = SHAPE
    found = contest("nm_linear", SHAPE, "cpu")
    assert found.macs == m * k * n / 2
    assert found.moved == 2 * m * k + n * k // 2 * 2 + n * k // 8 + 2 * m * n
    assert contest("block_sparse_linear", SHAPE, "cpu").macs == m * k * n / 4


def test_a_rival_that_cannot_run_here_is_named_with_the_reason():
    found = contest("w4a16_linear", SHAPE, "cpu")
    assert "_weight_int4pack_mm" not in found.calls
    assert found.missing["_weight_int4pack_mm"]


def test_contests_are_of_kernels_that_exist_and_an_unknown_one_is_named():
    assert set(CONTESTS) <= set(table.KERNELS)
    assert all(len(shape) == 3 for shape in SHAPES)
    with pytest.raises(KernelError, match="did you mean 'w8a8_linear'"):
        contest("w8a8", SHAPE, "cpu")
