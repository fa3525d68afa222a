from __future__ import annotations

import json

import numpy as np
import pytest

from automl.core.errors import StrategyError
from automl.strategies.array_state import decode_array
from automl.strategies.array_state import decode_arrays
from automl.strategies.array_state import encode_array
from automl.strategies.array_state import encode_arrays


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int32, np.uint8])
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_arrays_come_back_bit_for_bit_through_json(kind, shape):
    array = (np.random.default_rng(0).normal(size=shape) * 50).astype(kind)
    back = decode_array(json.loads(json.dumps(encode_array(array))))
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    np.testing.assert_array_equal(back, array)


def test_bytes_are_little_endian_whatever_the_array_is():
    assert encode_array(np.array([1.5], dtype=">f4")) == encode_array(np.array([1.5], dtype="<f4"))


@pytest.mark.parametrize(
    "damage", [{"data": "@@@"}, {"data": "AAA="}, {"shape": [7]}, {"type": "nonsense"}, {"type": None}]
)
def test_damage_is_told(damage):
    with pytest.raises(StrategyError, match="start a new run"):
        decode_array({**encode_array(np.ones(3, dtype=np.float32)), **damage})


def test_named_arrays_are_restored_in_place():
    target = {"a": np.zeros(2, dtype=np.float32)}
    kept = target["a"]
    decode_arrays(encode_arrays({"a": np.array([1.0, 2.0], dtype=np.float32)}), target)
    assert kept.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    "other", [{"b": np.zeros(2)}, {"a": np.zeros(3)}, {"a": np.zeros(2, dtype=np.float32)}]
)
def test_arrays_of_other_settings_are_refused(other):
    with pytest.raises(StrategyError, match="other settings"):
        decode_arrays(encode_arrays(other), {"a": np.zeros(2)})
