from __future__ import annotations

import numpy as np
import pytest

from automl.strategies.base import AdditiveTables
from automl.strategies.operators.mutation import Genes
from automl.strategies.operators.pinned_swap import LevelCosts
from automl.strategies.operators.pinned_swap import pinned_swap
from automl.testing.problems import additive_problem


def costs_of(unary, *, pairwise=None, ordinal=True):
    sizes = np.array([len(u) for u in unary])
    genes = Genes(sizes, np.full(len(sizes), ordinal))
    return LevelCosts.of(tuple(np.array(u, dtype=float) for u in unary), pairwise or {}, genes)


def priced(seed=0, pairs=True):
    """Return tables of a random problem with its costs."""
    synthetic = additive_problem(12, 4, pairs=pairs, seed=seed)
    tables = synthetic.problem.tables
    pairwise = tables.pairwise.get("size_bytes", {})
    return tables, LevelCosts.of(tables.unary["size_bytes"], pairwise, Genes.of(synthetic.problem.space))


def test_changes_are_those_of_the_full_prediction():
    tables, costs = priced()
    rng = np.random.default_rng(0)
    code = rng.integers(0, 4, size=12)
    base = tables.predict("size_bytes", code[None])[0]
    for column, option, delta in zip(costs.columns, costs.options, costs.deltas(code), strict=True):
        changed = code.copy()
        changed[column] = option
        assert tables.predict("size_bytes", changed[None])[0] - base == pytest.approx(delta, abs=1e-9)


def test_ordinal_genes_move_one_step_and_nominal_ones_anywhere():
    steps, jumps = costs_of([[3, 2, 1, 0]]), costs_of([[3, 2, 1, 0]], ordinal=False)
    assert steps.moves(np.array([1])).tolist() == [True, False, True, False]
    assert jumps.moves(np.array([1])).tolist() == [True, False, True, True]


def test_genes_of_equal_cost_keep_the_budget_exactly():
    costs = costs_of([[4.0, 2.0, 1.0]] * 10)
    rng = np.random.default_rng(0)
    code = np.array([0, 0, 1, 1, 1, 1, 1, 1, 2, 2])
    tables = AdditiveTables({"size_bytes": tuple(np.array([4.0, 2.0, 1.0]) for _ in range(10))})
    before = tables.predict("size_bytes", code[None])[0]
    children = np.array([pinned_swap(code, costs, 0.0, rng) for _ in range(200)])
    spent = tables.predict("size_bytes", children) - before
    assert spent.max() == 0.0
    assert (spent == 0.0).mean() > 0.6
    assert (children != code).any(axis=1).all()


@pytest.mark.parametrize("room", [0.0, 150.0])
def test_the_room_is_never_overspent_and_most_of_it_is_used(room):
    tables, costs = priced()
    rng = np.random.default_rng(1)
    code = np.full(12, 2)
    children = np.array([pinned_swap(code, costs, room, rng) for _ in range(300)])
    spent = tables.predict("size_bytes", children) - tables.predict("size_bytes", code[None])[0]
    assert spent.max() <= room + 1e-6
    total = tables.predict("size_bytes", code[None])[0]
    assert np.median(spent - room) > -0.05 * total
    assert np.array_equal(code, np.full(12, 2))


def test_a_code_beyond_its_limit_is_lowered_until_it_fits():
    tables, costs = priced(pairs=False)
    code = np.zeros(12, dtype=np.int64)
    rng = np.random.default_rng(0)
    total = tables.predict("size_bytes", code[None])[0]
    child = pinned_swap(code, costs, -0.3 * total, rng)
    assert tables.predict("size_bytes", child[None])[0] <= 0.7 * total
    # no gene falls more than one level in one child, which limits what a single child can save
    assert (child <= 1).all()


def test_a_gene_that_costs_nothing_moves_too():
    costs = costs_of([[0.0, 0.0], [2.0, 1.0], [2.0, 1.0]])
    rng = np.random.default_rng(0)
    children = [pinned_swap(np.array([0, 0, 1]), costs, 0.0, rng) for _ in range(100)]
    assert any(child[0] == 1 for child in children)


def test_where_nothing_moves_the_code_stays():
    costs = costs_of([[1.0], [2.0]])
    child = pinned_swap(np.zeros(2, dtype=np.int64), costs, 0.0, np.random.default_rng(0))
    assert child.tolist() == [0, 0]
