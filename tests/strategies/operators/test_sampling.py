from __future__ import annotations

import numpy as np

from automl.searchspaces.space import Condition
from automl.strategies.operators.dedup import SeenCodes
from automl.strategies.operators.sampling import enumerate_codes
from automl.strategies.operators.sampling import sample_fresh
from automl.testing.problems import integer_space


def test_enumerates_every_member_once():
    assert len(enumerate_codes(integer_space([2, 3, 1]))) == 6
    tied = integer_space([2, 3], conditions=[Condition("level:site0001", "level:site0000", (1,))])
    assert enumerate_codes(tied).tolist() == [[0, 0], [1, 0], [1, 1], [1, 2]]


def test_draws_what_is_left_of_a_small_space():
    space, seen = integer_space([3, 3]), SeenCodes()
    seen.add(enumerate_codes(space)[:7])
    drawn = sample_fresh(space, np.random.default_rng(0), 5, seen)
    assert sorted(drawn.tolist()) == [[2, 1], [2, 2]]
    assert len(seen) == 7


def test_a_small_space_is_not_listed_while_drawing_finds_new_ones(monkeypatch):
    space, seen = integer_space([2] * 10), SeenCodes()
    seen.add(enumerate_codes(space)[:700])
    monkeypatch.setattr("automl.strategies.operators.sampling.enumerate_codes", None)
    drawn = sample_fresh(space, np.random.default_rng(0), 8, seen)
    assert len(np.unique(drawn, axis=0)) == 8
    assert len(seen.fresh(drawn)) == 8


def test_large_spaces_are_not_enumerated():
    drawn = sample_fresh(integer_space([3] * 500), np.random.default_rng(0), 7, SeenCodes())
    assert drawn.shape == (7, 500)
    assert len(np.unique(drawn, axis=0)) == 7


def test_nothing_asked_nothing_drawn():
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    assert sample_fresh(integer_space([3, 3]), rng, 0, SeenCodes()).shape == (0, 2)
    assert rng.bit_generator.state == before
