from __future__ import annotations

import numpy as np
import pytest

from automl.strategies.operators.mutation import Genes
from automl.strategies.operators.roulette import RouletteMutation
from automl.strategies.operators.roulette import inverse_price_shares
from automl.strategies.operators.roulette import roulette_mutation

GENES = Genes(np.array([3, 1, 2]), np.zeros(3, dtype=bool))


def test_shares_are_inverse_to_the_price():
    shares = inverse_price_shares([np.array([1.0, 2.0, 4.0]), np.array([5.0]), np.array([3.0, 1.0])])
    np.testing.assert_allclose(shares[0], np.array([4, 2, 1]) / 7)
    assert shares[1].tolist() == [1.0, 0.0, 0.0]
    np.testing.assert_allclose(shares[2], [0.25, 0.75, 0.0])


@pytest.mark.parametrize("price", [[0.0, 1.0], [-3.0, -2.0]])
def test_prices_that_are_not_positive_are_lifted(price):
    np.testing.assert_allclose(inverse_price_shares([np.array(price)])[0], [11 / 12, 1 / 12])


def test_equal_prices_are_drawn_evenly():
    assert inverse_price_shares([np.zeros(4)])[0].tolist() == [0.25] * 4


def test_changed_genes_follow_the_wheel_without_their_own_option():
    shares = inverse_price_shares([np.array([1.0, 2.0, 4.0]), np.ones(1), np.ones(2)])
    codes = np.zeros((8000, 3), dtype=np.int64)
    changed = roulette_mutation(codes, GENES, np.random.default_rng(0), shares=shares, expected=1.0)
    assert (changed[:, 1] == 0).all()
    moved = changed[changed[:, 0] != 0, 0]
    assert (moved == 1).mean() == pytest.approx(2 / 3, abs=0.02)
    assert set(changed[:, 2].tolist()) == {0, 1}


def test_at_least_one_gene_changes():
    shares = inverse_price_shares([np.ones(3), np.ones(1), np.ones(2)])
    codes = np.zeros((200, 3), dtype=np.int64)
    changed = RouletteMutation(shares, expected=0.01)(codes, GENES, np.random.default_rng(1))
    assert (changed != codes).any(axis=1).all()


def test_nothing_to_choose_changes_nothing():
    genes = Genes(np.array([1, 1]), np.zeros(2, dtype=bool))
    codes = np.zeros((4, 2), dtype=np.int64)
    changed = roulette_mutation(codes, genes, np.random.default_rng(2), shares=np.ones((2, 1)))
    np.testing.assert_array_equal(changed, codes)
    assert roulette_mutation(codes[:0], GENES, np.random.default_rng(2), shares=np.ones((3, 3))).shape == (
        0,
        2,
    )
