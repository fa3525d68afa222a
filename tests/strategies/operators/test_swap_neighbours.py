from __future__ import annotations

import numpy as np
import pytest

from automl.strategies.operators.mutation import Genes
from automl.strategies.operators.swap_neighbours import swap_neighbours


def genes(cardinalities, ordinal=True):
    return Genes(np.array(cardinalities), np.full(len(cardinalities), ordinal))


def neighbours(code, of, most=1000, seed=0):
    return swap_neighbours(np.array(code), of, np.random.default_rng(seed), most=most)


def test_all_trades_of_ordinal_genes():
    found = neighbours([1, 1, 0], genes([3, 3, 3]))
    # a gene at its lowest option cannot fall
    assert {tuple(f) for f in found.tolist()} == {(2, 0, 0), (0, 2, 0), (0, 1, 1), (1, 0, 1)}


def test_nominal_genes_change_in_pairs_to_any_option():
    found = neighbours([0, 0], genes([3, 2], ordinal=False))
    assert sorted(map(tuple, found.tolist())) == [(1, 1), (2, 1)]


def test_the_number_is_limited_and_the_draw_depends_on_the_generator():
    of = genes([5] * 30)
    first, again, other = (neighbours([2] * 30, of, 40, seed) for seed in (0, 0, 1))
    assert len(first) <= 40
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    steps = first - 2
    assert (np.abs(steps).sum(axis=1) == 2).all()
    assert (steps.sum(axis=1) == 0).all()


@pytest.mark.parametrize(("code", "cardinalities"), [([0, 0], [3, 3]), ([1, 1], [2, 2]), ([0], [1])])
def test_where_nothing_can_rise_or_nothing_can_fall_there_is_no_trade(code, cardinalities):
    assert neighbours(code, genes(cardinalities)).shape == (0, len(code))


def test_nothing_wanted_nothing_given():
    assert neighbours([1, 1], genes([3, 3]), most=0).shape == (0, 2)
