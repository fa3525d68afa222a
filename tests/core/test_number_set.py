from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl.core.number_set import NumberSet


@given(st.lists(st.integers(0, 200)))
def test_it_holds_what_a_set_holds(numbers):
    held = NumberSet()
    held.update(numbers[::2])
    for number in numbers[1::2]:
        held.add(number)
    assert list(held) == sorted(set(numbers))
    assert len(held) == len(set(numbers))
    assert [n for n in range(-2, 210) if n in held] == sorted(set(numbers))


def test_a_negative_number_is_refused():
    with pytest.raises(IndexError, match="is negative"):
        NumberSet().add(-1)


def test_a_number_takes_about_a_byte():
    held = NumberSet()
    held.update(range(100_000))
    assert sys.getsizeof(held._flags) < 120_000
