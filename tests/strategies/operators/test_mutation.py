from __future__ import annotations

import numpy as np
import pytest

from automl.strategies.operators.mutation import BlockMutation
from automl.strategies.operators.mutation import GeneMutation
from automl.strategies.operators.mutation import Genes
from automl.strategies.operators.mutation import SwapMutation
from automl.strategies.operators.mutation import block_mutation
from automl.strategies.operators.mutation import gene_mutation
from automl.strategies.operators.mutation import swap_mutation
from automl.testing.problems import integer_space

CARDS = np.array([1, 2, 3, 4, 5, 5, 3, 2])
GENES = Genes(CARDS, np.array([True, True, True, True, True, False, False, False]))


def population(rows=500, seed=0):
    return np.random.default_rng(seed).integers(0, CARDS, size=(rows, len(CARDS)))


def test_genes_of_a_space():
    genes = Genes.of(integer_space([2, 3], ordinal=False))
    assert (genes.cardinalities.tolist(), genes.ordinal.tolist()) == ([2, 3], [False, False])


@pytest.mark.parametrize("mutate", [GeneMutation(), GeneMutation(3.0), SwapMutation(), BlockMutation()])
def test_stays_within_the_options_and_leaves_the_input(mutate):
    codes = population()
    before = codes.copy()
    changed = mutate(codes, GENES, np.random.default_rng(1))
    assert ((changed >= 0) & (changed < CARDS)).all()
    assert np.array_equal(codes, before)
    assert (changed != codes).any(axis=1).mean() > 0.5


@pytest.mark.parametrize("mutate", [GeneMutation(), SwapMutation(3), BlockMutation()])
def test_degenerate_shapes(mutate):
    rng = np.random.default_rng(1)
    one = Genes(np.array([1]), np.array([True]))
    assert mutate(np.zeros((4, 1), dtype=np.int64), one, rng).tolist() == [[0]] * 4
    assert mutate(np.empty((0, 8), dtype=np.int64), GENES, rng).shape == (0, 8)


def test_gene_mutation_changes_every_row_and_the_stated_number_on_average():
    codes = population(4000)
    changed = gene_mutation(codes, GENES, np.random.default_rng(1), expected=2.0) != codes
    assert changed.any(axis=1).all()
    # one gene is forced, the six others of the seven free ones change with probability 2 / 7
    assert changed.sum(axis=1).mean() == pytest.approx(1 + 6 * 2 / 7, rel=0.05)


def test_ordinal_genes_move_one_step_when_told_to():
    codes = population()
    moved = gene_mutation(codes, GENES, np.random.default_rng(1), expected=8.0, steps=1.0)
    distance = np.abs(moved - codes)
    assert distance[:, GENES.ordinal].max() == 1
    assert distance[:, 5].max() > 1


def test_block_mutation_sets_one_contiguous_block_to_one_level():
    codes = np.full((300, 12), 9)
    genes = Genes(np.full(12, 10), np.ones(12, dtype=bool))
    changed = block_mutation(codes, genes, np.random.default_rng(1), largest=0.25)
    for row in changed:
        inside = np.flatnonzero(row != 9)
        if inside.size:
            assert inside[-1] - inside[0] + 1 == inside.size <= 3
            assert len(set(row[inside])) == 1


def test_swap_raises_some_and_lowers_others_by_one():
    codes = np.full((300, 8), 2)
    genes = Genes(np.full(8, 5), np.ones(8, dtype=bool))
    delta = swap_mutation(codes, genes, np.random.default_rng(1), most=2) - codes
    assert set(np.unique(delta)) == {-1, 0, 1}
    assert set((delta == 1).sum(axis=1)) == set((delta == -1).sum(axis=1)) == {1, 2}


def test_swap_of_one_keeps_the_total_level():
    codes = np.full((100, 8), 2)
    genes = Genes(np.full(8, 5), np.ones(8, dtype=bool))
    moved = swap_mutation(codes, genes, np.random.default_rng(1), most=1)
    assert (moved.sum(axis=1) == 16).all()


def test_swap_where_nothing_can_rise_only_lowers():
    codes = np.full((20, 4), 4)
    genes = Genes(np.full(4, 5), np.ones(4, dtype=bool))
    moved = swap_mutation(codes, genes, np.random.default_rng(1), most=1)
    assert (moved.sum(axis=1) == 15).all()
