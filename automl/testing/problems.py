"""Synthetic problems with a known answer: additive, with pair terms, with linkage, constant.

A problem here evaluates a candidate at once and without a model; its measurements stand for quality loss
(``kl``) and cost (``size_bytes``).
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from automl.core.budget import Budget
from automl.core.measurement import METRIC_UNITS
from automl.core.measurement import Measurement
from automl.core.measurement import Metric
from automl.core.objective import Objective
from automl.core.rng import child_rng
from automl.core.trial import Trial
from automl.core.trial import TrialState
from automl.searchspaces.dimension import Dimension
from automl.searchspaces.space import Condition
from automl.searchspaces.space import SearchSpace
from automl.strategies.base import AdditiveTables
from automl.strategies.base import Problem

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.core.candidate import Candidate

__all__ = [
    "SyntheticProblem",
    "additive_problem",
    "conditional_problem",
    "constant_problem",
    "dtlz2_problem",
    "integer_space",
    "single_objective_problem",
    "table_problem",
    "zdt1_problem",
]

QUALITY = "kl"
COST = "size_bytes"


@dataclass(frozen=True, eq=False)
class SyntheticProblem:
    """A problem together with its truth.

    Args:
        problem: what the strategy is given.
        truth: codes (n, n_dimensions) -> minimized values (n, n_metrics) of ``metrics``.
        metrics: what a measurement holds, smaller is better.
    """

    problem: Problem
    truth: Callable[[NDArray[np.int64]], NDArray[np.float64]]
    metrics: tuple[str, ...] = (QUALITY, COST)

    def measure(self, candidates: Sequence[Candidate]) -> list[Measurement]:
        """Return the measurements of ``candidates``."""
        if not candidates:
            return []
        values = self.truth(self.problem.space.encode(candidates))
        return [
            Measurement(
                {m: Metric(float(v), METRIC_UNITS[m]) for m, v in zip(self.metrics, row, strict=True)}
            )
            for row in values
        ]

    def trials(self, candidates: Sequence[Candidate], first: int = 0) -> list[Trial]:
        """Return complete trials of ``candidates``, numbered from ``first``."""
        return [
            Trial(first + i, c, TrialState.COMPLETE, measurement=m)
            for i, (c, m) in enumerate(zip(candidates, self.measure(candidates), strict=True))
        ]

    def failed(self, candidates: Sequence[Candidate], first: int = 0) -> list[Trial]:
        """Return failed trials of ``candidates``, numbered from ``first``."""
        return [
            Trial(first + i, c, TrialState.FAILED, failure="synthetic failure")
            for i, c in enumerate(candidates)
        ]


def integer_space(
    cardinalities: Sequence[int], *, ordinal: bool = True, conditions: Sequence[Condition] = ()
) -> SearchSpace:
    """Return a space of dimensions ``level:siteNNNN`` with options 0, 1, ... and default 0."""
    dimensions = tuple(
        Dimension("level", f"site{i:04d}", tuple(range(c)), 0, ordinal=ordinal)
        for i, c in enumerate(cardinalities)
    )
    return SearchSpace(dimensions, tuple(conditions))


def table_problem(
    space: SearchSpace,
    tables: AdditiveTables,
    *,
    limit: float | None = None,
    seed: int = 0,
    give_tables: bool = True,
) -> SyntheticProblem:
    """Return the problem whose truth is ``tables`` of ``kl`` and ``size_bytes``.

    Args:
        space: the space the tables price.
        tables: prices of ``kl`` and ``size_bytes``.
        limit: hard budget on ``size_bytes``; None for none.
        seed: the strategy's seed.
        give_tables: whether the strategy may see the tables.
    """
    budgets = () if limit is None else (Budget(f"size={limit}", COST, limit),)
    problem = Problem(
        space,
        (Objective(QUALITY), Objective(COST)),
        budgets,
        seed=seed,
        tables=tables if give_tables else None,
    )
    return SyntheticProblem(
        problem, lambda codes: np.stack([tables.predict(m, codes) for m in (QUALITY, COST)], axis=1)
    )


def additive_problem(
    n_dimensions: int,
    n_options: int = 3,
    *,
    seed: int = 0,
    fraction: float | None = 0.4,
    pairs: bool = False,
    give_tables: bool = True,
) -> SyntheticProblem:
    """Return a random allocation problem: later options cost less and harm more, layers differ widely.

    Args:
        n_dimensions: number of layers.
        n_options: options a layer.
        seed: of the tables and of the strategy.
        fraction: the budget, as a fraction of the way from the cheapest to the dearest code; None for none;
            negative makes it infeasible.
        pairs: whether borders between different options of neighbouring layers cost extra.
        give_tables: whether the strategy may see the tables.
    """
    rng = child_rng(seed, "additive_problem")
    scale = rng.lognormal(sigma=1.2, size=(n_dimensions, 1))
    weight = rng.lognormal(sigma=1.0, size=(n_dimensions, 1))
    level = np.arange(n_options)
    harm = scale * (4.0**level - 1.0) * rng.uniform(0.8, 1.25, size=(n_dimensions, n_options))
    cost = 1000.0 * weight * 0.5**level * rng.uniform(0.9, 1.1, size=(n_dimensions, n_options))
    border = {}
    if pairs:
        unequal = (level[:, None] != level[None, :]).astype(np.float64)
        border = {
            (i, i + 1): unequal * float(1000.0 * weight[i, 0] * rng.uniform(0.1, 0.5))
            for i in range(n_dimensions - 1)
        }
    tables = AdditiveTables({QUALITY: tuple(harm), COST: tuple(cost)}, {COST: border} if pairs else {})
    limit = None
    if fraction is not None:
        low, high = float(cost.min(axis=1).sum()), float(cost.max(axis=1).sum())
        limit = low + fraction * (high - low) if fraction >= 0 else 0.5 * low
    space = integer_space([n_options] * n_dimensions)
    return table_problem(space, tables, limit=limit, seed=seed, give_tables=give_tables)


def single_objective_problem(synthetic: SyntheticProblem) -> SyntheticProblem:
    """Return ``synthetic`` with its first objective alone; the other metrics are measured, budgets hold."""
    problem = replace(synthetic.problem, objectives=synthetic.problem.objectives[:1])
    return replace(synthetic, problem=problem)


def conditional_problem(*, seed: int = 0) -> SyntheticProblem:
    """Return an additive problem of 8 dimensions where three only matter under a parent's options."""
    names = [f"level:site{i:04d}" for i in range(8)]
    conditions = (
        Condition(names[2], names[0], (1, 2)),
        Condition(names[5], names[4], (0,)),
        Condition(names[7], names[5], (1,)),
    )
    plain = additive_problem(8, 3, seed=seed)
    tables = plain.problem.tables
    if tables is None:
        raise AssertionError("the additive problem gives its tables")
    limit = plain.problem.budgets[0].limit
    return table_problem(integer_space([3] * 8, conditions=conditions), tables, limit=limit, seed=seed)


def constant_problem(n_dimensions: int = 6, n_options: int = 3, *, seed: int = 0) -> SyntheticProblem:
    """Return a problem where every candidate measures the same."""
    flat = tuple(np.ones(n_options) for _ in range(n_dimensions))
    tables = AdditiveTables({QUALITY: flat, COST: flat})
    return table_problem(integer_space([n_options] * n_dimensions), tables, seed=seed)


def zdt1_problem(n_dimensions: int = 12, n_options: int = 16, *, seed: int = 0) -> SyntheticProblem:
    """Return ZDT1 on a grid, without budget or tables; its front is ``f2 = 1 - sqrt(f1)``.

    Reference:
        Zitzler, Deb, Thiele, "Comparison of multiobjective evolutionary algorithms", 2000, with each variable
        on ``n_options`` equal steps.
    """

    def truth(codes: NDArray[np.int64]) -> NDArray[np.float64]:
        x = codes / (n_options - 1)
        g = 1.0 + 9.0 * x[:, 1:].mean(axis=1)
        return np.stack([g * (1.0 - np.sqrt(x[:, 0] / g)), x[:, 0]], axis=1)

    space = integer_space([n_options] * n_dimensions)
    return SyntheticProblem(Problem(space, (Objective(QUALITY), Objective(COST)), seed=seed), truth)


def dtlz2_problem(
    n_dimensions: int = 6, n_options: int = 33, *, n_objectives: int = 3, seed: int = 0
) -> SyntheticProblem:
    """Return DTLZ2 on a grid; its front is the part of the unit sphere without negative coordinates.

    Args:
        n_dimensions: number of variables; the last ``n_dimensions - n_objectives + 1`` set the distance.
        n_options: equal steps of each variable; odd, so that the optimum 0.5 of the distance is on the grid.
        n_objectives: 2 to 4.
        seed: the strategy's seed.

    Reference:
        Deb, Thiele, Laumanns, Zitzler, "Scalable multi-objective optimization test problems", 2002.
    """
    metrics = (QUALITY, COST, "latency_ms", "macs")[:n_objectives]

    def truth(codes: NDArray[np.int64]) -> NDArray[np.float64]:
        x = codes / (n_options - 1)
        angles = x[:, : n_objectives - 1] * (np.pi / 2.0)
        radius = 1.0 + ((x[:, n_objectives - 1 :] - 0.5) ** 2).sum(axis=1)
        columns = []
        for k in range(n_objectives):
            used = n_objectives - 1 - k
            column = radius * np.cos(angles[:, :used]).prod(axis=1)
            columns.append(column if k == 0 else column * np.sin(angles[:, used]))
        return np.stack(columns, axis=1)

    space = integer_space([n_options] * n_dimensions)
    problem = Problem(space, tuple(Objective(m) for m in metrics), seed=seed)
    return SyntheticProblem(problem, truth, metrics)
