from __future__ import annotations

import numpy as np

from automl.strategies.operators.dedup import SeenCodes
from automl.strategies.operators.dedup import code_keys


def test_equal_rows_have_equal_keys_whatever_their_memory_layout():
    codes = np.arange(12).reshape(3, 4)
    assert code_keys(codes) == code_keys(np.asfortranarray(codes)) == code_keys(codes.astype(np.int16))
    assert len(set(code_keys(codes))) == 3


def test_fresh_drops_known_and_repeated_rows_and_keeps_order():
    seen = SeenCodes()
    seen.add(np.array([[1, 1]]))
    codes = np.array([[2, 2], [1, 1], [0, 1], [2, 2]])
    assert seen.fresh(codes).tolist() == [[2, 2], [0, 1]]
    assert len(seen) == 1


def test_keys_rebuild_the_set():
    seen = SeenCodes()
    seen.add(np.array([[1, 1], [3, 0]]))
    again = SeenCodes(seen.keys)
    assert again.keys == seen.keys
    assert again.fresh(np.array([[3, 0], [0, 3]])).tolist() == [[0, 3]]


def test_no_rows():
    assert SeenCodes().fresh(np.empty((0, 3), dtype=np.int64)).shape == (0, 3)
