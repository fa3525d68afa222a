from __future__ import annotations

import json

import pytest

from automl.core.errors import StrategyError
from automl.core.rng import child_rng
from automl.strategies.saved_state import check_state
from automl.strategies.saved_state import restore_rng
from automl.strategies.saved_state import rng_state


def test_generator_continues_bit_for_bit_after_json():
    rng = child_rng(1, "x")
    rng.integers(0, 7, size=5, dtype="int32")
    saved = json.loads(json.dumps(rng_state(rng)))
    expected = rng.random(10).tolist(), rng.integers(0, 7, size=5).tolist()
    other = child_rng(2, "y")
    restore_rng(other, saved)
    assert (other.random(10).tolist(), other.integers(0, 7, size=5).tolist()) == expected


def test_damaged_generator_state_is_refused():
    with pytest.raises(StrategyError, match="damaged"):
        restore_rng(child_rng(1), {"bit_generator": "MT19937"})


def test_state_of_another_strategy_names_it():
    with pytest.raises(StrategyError, match="--strategy exact"):
        check_state({"strategy": "exact", "space": "a"}, "random", "a")


def test_state_of_another_space_is_refused():
    with pytest.raises(StrategyError, match="search space b"):
        check_state({"strategy": "random", "space": "b"}, "random", "a")
