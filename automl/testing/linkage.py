"""Synthetic problems where options count together: what one gene is worth depends on another."""

from __future__ import annotations

import numpy as np

from automl.core.objective import Objective
from automl.core.rng import child_rng
from automl.strategies.base import Problem
from automl.testing.problems import COST
from automl.testing.problems import QUALITY
from automl.testing.problems import SyntheticProblem
from automl.testing.problems import integer_space

__all__ = ["gene_table_problem", "linkage_problem"]


def gene_table_problem(
    n_genes: int = 6, n_options: int = 6, *, seed: int = 0
) -> tuple[SyntheticProblem, float]:
    """Return a problem of one objective, minus a reward from a table, and the largest reward there is.

    The reward is a sum of a number in [0, 1) for every gene and one for every pair of genes (0, 1), (2, 3)
    and so on, all drawn; options have no order.

    Args:
        n_genes: even.
        n_options: options a gene.
        seed: of the table and of the strategy.
    """
    rng = child_rng(seed, "gene_table_problem")
    single = rng.random((n_genes, n_options))
    pair = rng.random((n_genes // 2, n_options, n_options))

    def truth(codes: np.ndarray[tuple[int, int], np.dtype[np.int64]]) -> np.ndarray:
        reward = single[np.arange(n_genes), codes].sum(axis=1)
        reward += pair[np.arange(n_genes // 2), codes[:, ::2], codes[:, 1::2]].sum(axis=1)
        return np.stack([-reward, np.zeros(len(codes))], axis=1)

    together = single[::2, :, None] + single[1::2, None, :] + pair
    space = integer_space([n_options] * n_genes, ordinal=False)
    problem = Problem(space, (Objective(QUALITY),), seed=seed)
    return SyntheticProblem(problem, truth), float(together.max(axis=(1, 2)).sum())


def linkage_problem(
    n_genes: int = 12, n_options: int = 6, *, adjacent: bool = True, seed: int = 0
) -> SyntheticProblem:
    """Return a problem of two objectives where a gene's quality is lost unless its partner matches it.

    Every option of the first gene of a pair has one partner option, at random. Together they save the more
    loss the dearer they are; an option whose partner does not match saves nothing and costs as much.

    Args:
        n_genes: even.
        n_options: options a gene; they have no order.
        adjacent: whether partners are neighbours, (0, 1), (2, 3), ..., or half the genes apart.
        seed: of the tables and of the strategy.
    """
    rng = child_rng(seed, "linkage_problem")
    half = n_genes // 2
    first = np.arange(0, n_genes, 2) if adjacent else np.arange(half)
    second = first + (1 if adjacent else half)
    partner = np.stack([rng.permutation(n_options) for _ in range(half)])
    cost = np.sort(rng.random((half, n_options)), axis=1)
    saved = np.sqrt(cost) * rng.uniform(0.8, 1.0, size=(half, n_options))
    shuffled = rng.permuted(np.tile(np.arange(n_options), (half, 1)), axis=1)
    cost, saved = (np.take_along_axis(a, shuffled, axis=1) for a in (cost, saved))
    rows = np.arange(half)

    def truth(codes: np.ndarray[tuple[int, int], np.dtype[np.int64]]) -> np.ndarray:
        a, b = codes[:, first], codes[:, second]
        matched = partner[rows, a] == b
        loss = half - (saved[rows, a] * matched).sum(axis=1)
        return np.stack([loss, cost[rows, a].sum(axis=1)], axis=1)

    space = integer_space([n_options] * n_genes, ordinal=False)
    problem = Problem(space, (Objective(QUALITY), Objective(COST)), seed=seed)
    return SyntheticProblem(problem, truth)
