from __future__ import annotations

import numpy as np
import pytest

from automl.strategies.operators.crossover import BlockCrossover
from automl.strategies.operators.crossover import KPointCrossover
from automl.strategies.operators.crossover import UniformCrossover
from automl.strategies.operators.crossover import block_crossover
from automl.strategies.operators.crossover import k_point_crossover
from automl.strategies.operators.crossover import uniform_crossover

A, B = np.zeros((400, 10), dtype=np.int64), np.ones((400, 10), dtype=np.int64)


def switches(children):
    return np.abs(np.diff(children, axis=1)).sum(axis=1)


@pytest.mark.parametrize("cross", [UniformCrossover(), KPointCrossover(), BlockCrossover()])
def test_genes_come_from_the_parents_and_parents_stay(cross):
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 5, (50, 7)), rng.integers(5, 10, (50, 7))
    before = a.copy(), b.copy()
    children = cross(a, b, rng)
    assert ((children == a) | (children == b)).all()
    assert (children != a).any()
    assert np.array_equal(a, before[0])
    assert np.array_equal(b, before[1])


@pytest.mark.parametrize("cross", [UniformCrossover(), KPointCrossover(), BlockCrossover()])
def test_one_gene_and_no_rows(cross):
    rng = np.random.default_rng(0)
    assert cross(A[:3, :1], B[:3, :1], rng).shape == (3, 1)
    assert cross(A[:0], B[:0], rng).shape == (0, 10)


def test_uniform_takes_the_stated_share():
    children = uniform_crossover(A, B, np.random.default_rng(0), probability=0.2)
    assert children.mean() == pytest.approx(0.2, abs=4 * np.sqrt(0.16 / 4000))


def test_k_points_switch_at_most_k_times():
    for k in (1, 2, 3):
        counts = switches(k_point_crossover(A, B, np.random.default_rng(0), points=k))
        assert counts.max() == k


def test_block_is_contiguous_and_bounded():
    children = block_crossover(A, B, np.random.default_rng(0), largest=0.4)
    assert switches(children).max() <= 2
    assert children.sum(axis=1).min() == 1
    assert children.sum(axis=1).max() == 4
    assert children.any(axis=0).all()
