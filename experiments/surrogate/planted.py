"""Bit-allocation problems whose truth has interactions that the additive prices do not know."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from automl.core.indicators import hypervolume
from automl.core.rng import child_rng
from automl.strategies.base import AdditiveTables
from automl.testing.problems import SyntheticProblem
from automl.testing.problems import integer_space
from automl.testing.problems import table_problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hawq_problems import Instance

    from automl.strategies.base import Strategy

METRICS = ("kl", "size_bytes")
BATCH = 8


def planted_pairs(damage: tuple[np.ndarray, ...], *, seed: int = 0) -> dict[tuple[int, int], np.ndarray]:
    """Return pair damages: every neighboring pair and half as many distant ones as there are layers.

    Of two layers that are both at a low width the damage is the geometric mean of their own damages times a
    factor uniform in [0, 2]; for 3 of 10 pairs it is a relief of half that size.
    """
    rng = child_rng(seed, "planted")
    n = len(damage)
    distant = [tuple(sorted(int(i) for i in rng.choice(n, 2, replace=False))) for _ in range(n // 2)]
    pairs = {}
    for i, j in sorted({*((k, k + 1) for k in range(n - 1)), *distant}):
        joint = np.sqrt(np.outer(np.maximum(damage[i], 0.0), np.maximum(damage[j], 0.0)))
        pairs[(i, j)] = joint * rng.uniform(0.0, 2.0) * (1.0 if rng.random() < 0.7 else -0.5)
    return pairs


@dataclass(frozen=True, eq=False)
class Planted:
    """A HAWQ-V3 instance with planted interactions.

    Args:
        instance: the published problem.
        budgeted: whether its limit is a hard budget; without it the whole front is the aim.
    """

    instance: Instance
    budgeted: bool

    @property
    def name(self) -> str:
        """Name of the instance and whether its limit holds."""
        return self.instance.name + (", budget" if self.budgeted else "")

    @property
    def truth(self) -> AdditiveTables:
        """The prices with the pairs."""
        return AdditiveTables(self.instance.unary, {"kl": planted_pairs(self.instance.unary["kl"])})

    def problem(self, seed: int, *, priced: bool) -> SyntheticProblem:
        """Return the problem; with prices it predicts what the single decisions cost."""
        space = integer_space([2] * len(self.instance.unary["kl"]))
        limit = self.instance.limit if self.budgeted else None
        problem = table_problem(space, self.truth, limit=limit, seed=seed, give_tables=False)
        if not priced:
            return problem
        known = AdditiveTables(self.instance.unary)

        def predict(codes: np.ndarray) -> np.ndarray:
            return np.stack([known.predict(m, codes) for m in METRICS], axis=1)

        return replace(problem, problem=replace(problem.problem, tables=known, predict=predict))

    def volume(self, points: np.ndarray) -> float:
        """Return the hypervolume of feasible points as a share of the box of both uniform candidates."""
        n = len(self.instance.unary["kl"])
        ends = np.array([[0] * n, [1] * n])
        box = np.stack([self.truth.predict(m, ends).max() for m in METRICS])
        if self.budgeted:
            points = points[points[:, 1] <= self.instance.limit * (1 + 1e-9)]
        return hypervolume(points / box, np.ones(2))


def volumes(
    planted: Planted, strategy: Strategy, synthetic: SyntheticProblem, evaluations: int, until: float
) -> Iterator[float]:
    """Yield the hypervolume after every evaluation; ends when both limits are passed or nothing is left.

    Args:
        planted: measures the volume.
        strategy: new.
        synthetic: its problem.
        evaluations: at least this many.
        until: at least this hypervolume, but not beyond 1,000 evaluations.
    """
    default = synthetic.problem.space.default
    strategy.tell(synthetic.trials([default], 0))
    front = synthetic.truth(synthetic.problem.space.encode([default]))
    spent, volume = 0, planted.volume(front)
    while spent < evaluations or (volume < until and spent < 1000):
        candidates = strategy.ask(BATCH)
        if not candidates:
            return
        trials = synthetic.trials(candidates, 1 + spent)
        strategy.tell(trials)
        for trial in trials:
            spent += 1
            point = np.array([[trial.value(m) for m in METRICS]])
            if not (front <= point).all(axis=1).any():
                front = np.concatenate([front[~(point <= front).all(axis=1)], point])
                volume = planted.volume(front)
            yield volume
