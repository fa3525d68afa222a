from __future__ import annotations

import numpy as np
import pytest

from automl.strategies.operators.gray_math import gray_codes


def whole(cardinalities):
    cards = np.array(cardinalities)
    return gray_codes(np.arange(np.prod(cards)), cards)


def test_binary_order_is_the_reflected_binary_code():
    numbers = np.arange(16)
    expected = numbers ^ (numbers >> 1)
    assert (whole([2, 2, 2, 2]) @ [8, 4, 2, 1]).tolist() == expected.tolist()


@pytest.mark.parametrize("cardinalities", [[3, 4, 2], [2, 1, 5, 3], [7], [1, 1], [2, 3, 2, 3, 2]])
def test_every_code_once_and_one_step_apart(cardinalities):
    codes = whole(cardinalities)
    assert len(np.unique(codes, axis=0)) == len(codes) == np.prod(cardinalities)
    assert ((codes >= 0) & (codes < np.array(cardinalities))).all()
    assert (np.abs(np.diff(codes, axis=0)).sum(axis=1) == 1).all()
    assert not codes[0].any()


def test_any_index_alone_gives_its_code():
    cards = np.array([3, 4, 2])
    codes = whole(cards)
    some = np.array([23, 0, 7])
    assert np.array_equal(gray_codes(some, cards), codes[some])
    assert gray_codes(np.empty(0, dtype=np.int64), cards).shape == (0, 3)
