"""NSGA-II on true evaluations: steady state, any number asked at a time, late and failed trials welcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any
from typing import ClassVar

import numpy as np

from automl.core.budget import total_violation
from automl.core.dominance import constrained_order
from automl.core.errors import StrategyError
from automl.core.rng import child_rng
from automl.strategies.base import StrategyInfo
from automl.strategies.operators.crossover import BlockCrossover
from automl.strategies.operators.crossover import KPointCrossover
from automl.strategies.operators.crossover import UniformCrossover
from automl.strategies.operators.dedup import SeenCodes
from automl.strategies.operators.dedup import code_keys
from automl.strategies.operators.mutation import BlockMutation
from automl.strategies.operators.mutation import GeneMutation
from automl.strategies.operators.mutation import Genes
from automl.strategies.operators.mutation import SwapMutation
from automl.strategies.operators.sampling import sample_fresh
from automl.strategies.operators.selection import CrowdingSurvival
from automl.strategies.operators.selection import FocusedSurvival
from automl.strategies.operators.selection import tournament
from automl.strategies.saved_state import check_state
from automl.strategies.saved_state import restore_rng
from automl.strategies.saved_state import rng_state

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.core.candidate import Candidate
    from automl.core.trial import Trial
    from automl.strategies.base import Problem
    from automl.strategies.operators.crossover import Crossover
    from automl.strategies.operators.mutation import Mutation
    from automl.strategies.operators.selection import Survival

__all__ = ["EvolutionSettings", "Evolutionary", "Operators"]

_ROUNDS = 8


@dataclass(frozen=True, eq=False)
class Operators:
    """The bundle of operators; a child gets one crossover and one mutation, each drawn with equal chance.

    Args:
        survival: chooses who lives.
        crossovers: at least one.
        mutations: at least one.
    """

    survival: Survival
    crossovers: tuple[Crossover, ...]
    mutations: tuple[Mutation, ...]

    @classmethod
    def standard(cls, *, budgeted: bool) -> Operators:
        """Return the operators of choice.

        Args:
            budgeted: whether a hard budget makes one end of the front the answer; survival then reserves a
                share for it, otherwise plain crowding survives.
        """
        swaps = (SwapMutation(1), SwapMutation(2), SwapMutation(3))
        return cls(
            FocusedSurvival() if budgeted else CrowdingSurvival(),
            (UniformCrossover(), KPointCrossover(), BlockCrossover()),
            (GeneMutation(1.0), GeneMutation(2.0), *swaps, BlockMutation()),
        )


@dataclass(frozen=True)
class EvolutionSettings:
    """How the population is run.

    Args:
        population: number of members that live.
        crossover: probability that a child has two parents instead of one.
        mutation: probability that a child of two parents is mutated too; a child of one parent always is.
        pressure: members a tournament compares.
        screen: children drawn per child proposed when the problem can predict; the predicted best are kept.
            1 proposes every child as it comes.

    Raises:
        StrategyError: a number is out of range.
    """

    population: int = 64
    crossover: float = 0.6
    mutation: float = 0.7
    pressure: int = 2
    screen: int = 4

    def __post_init__(self) -> None:
        if self.population < 2 or self.pressure < 1 or self.screen < 1:
            raise StrategyError(
                f"population must be at least 2 and pressure and screen at least 1; got {self.population}, "
                f"{self.pressure}, {self.screen}"
            )
        if not (0 <= self.crossover <= 1 and 0 <= self.mutation <= 1):
            raise StrategyError(
                f"crossover and mutation are probabilities; got {self.crossover}, {self.mutation}"
            )


class Evolutionary:
    """NSGA-II with Deb's constrained dominance, steady state.

    The first proposals are the problem's seeds and random candidates up to the size of the population; after
    that children of the living. Every told trial joins the population at once and the survivors are chosen,
    so ``ask`` may be called with any count and trials may come late, failed or from elsewhere. Complete ones
    that lack an objective or a budget's metric (a cheap fidelity that skips timing) are only remembered as
    proposed; a candidate told again replaces its former values.

    Args:
        problem: objectives and hard budgets decide; ``predict`` screens children when present.
        settings: see :class:`EvolutionSettings`; its defaults when None.
        operators: :meth:`Operators.standard` when None.

    Reference:
        Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II", 2002. Deviations: steady
        state instead of generations, discrete operators, no candidate is proposed twice, and under a hard
        budget a share of the survivors is chosen by the first objective alone.
    """

    info: ClassVar[StrategyInfo] = StrategyInfo(
        name="evolutionary",
        summary="NSGA-II on true evaluations, steady state, seeded by the problem's seeds",
        paper="A fast and elitist multiobjective genetic algorithm: NSGA-II, 10.1109/4235.996017",
        finite=True,
    )

    def __init__(
        self,
        problem: Problem,
        *,
        settings: EvolutionSettings | None = None,
        operators: Operators | None = None,
    ) -> None:
        self._problem = problem
        self._space = problem.space
        self._settings = settings or EvolutionSettings()
        budgeted = any(b.hard for b in problem.budgets)
        self._operators = operators or Operators.standard(budgeted=budgeted)
        self._genes = Genes(
            self._space.cardinalities, np.array([d.ordinal for d in self._space.dimensions], dtype=bool)
        )
        self._rng = child_rng(problem.seed, "evolutionary")
        self._seen = SeenCodes()
        self._seen.add(self._space.default_code[None])
        self._seeds = self._seen.fresh(self._space.repair(self._space.encode(problem.seeds)))
        self._asked = 0
        self._asked_codes: dict[Candidate, NDArray[np.int64]] = {}
        self._codes = np.empty((0, len(self._space)), dtype=np.int64)
        self._points = np.empty((0, len(problem.objectives)))
        self._violations = np.empty(0)

    def ask(self, count: int) -> list[Candidate]:
        """Return up to ``count`` new candidates; fewer only when the space is exhausted."""
        codes = self._seen.fresh(self._seeds)[: max(count, 0)]
        self._seen.add(codes)
        start = self._settings.population - self._asked - len(codes)
        if len(codes) < count and len(self._codes) and start < count - len(codes):
            drawn = self._random(max(start, 0))
            codes = np.concatenate([codes, drawn])
            codes = np.concatenate([codes, self._children(count - len(codes))])
        if len(codes) < count:
            codes = np.concatenate([codes, self._random(count - len(codes))])
        self._asked += len(codes)
        candidates = [self._space.decode(code) for code in codes]
        self._asked_codes.update(zip(candidates, codes, strict=True))
        return candidates

    def tell(self, trials: Sequence[Trial]) -> None:
        """Let complete trials join the population, then let the best survive."""
        codes = self._codes_of(trials)
        self._seen.add(codes)
        rows = [i for i, trial in enumerate(trials) if self._informs(trial)]
        if not rows:
            return
        told = [trials[i].measurement for i in rows]
        points = [[o.loss(m) for o in self._problem.objectives] for m in told if m is not None]
        violations = [total_violation(self._problem.budgets, m) for m in told if m is not None]
        self._join(codes[rows], np.array(points, dtype=np.float64), np.array(violations, dtype=np.float64))

    def state_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "strategy": self.info.name,
            "space": self._space.fingerprint,
            "rng": rng_state(self._rng),
            "asked": self._asked,
            "seen": self._seen.keys,
            "codes": self._codes.tolist(),
            "points": self._points.tolist(),
            "violations": self._violations.tolist(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore :meth:`state_dict`.

        Raises:
            StrategyError: the state belongs to another strategy or space.
        """
        check_state(state, self.info.name, self._space.fingerprint)
        restore_rng(self._rng, state["rng"])
        self._asked = int(state["asked"])
        self._seen = SeenCodes(state["seen"])
        n, n_objectives = len(state["codes"]), len(self._problem.objectives)
        self._codes = np.array(state["codes"], dtype=np.int64).reshape(n, len(self._space))
        self._points = np.array(state["points"], dtype=np.float64).reshape(n, n_objectives)
        self._violations = np.array(state["violations"], dtype=np.float64).reshape(n)
        self._asked_codes = {}

    def _codes_of(self, trials: Sequence[Trial]) -> NDArray[np.int64]:
        """Return the codes of the trials; encoding is the dear part, so what was asked here is remembered."""
        codes = np.empty((len(trials), len(self._space)), dtype=np.int64)
        for row, trial in enumerate(trials):
            known = self._asked_codes.pop(trial.candidate, None)
            codes[row] = self._space.encode([trial.candidate])[0] if known is None else known
        return codes

    def _informs(self, trial: Trial) -> bool:
        needed = [o.metric for o in self._problem.objectives]
        needed += [b.metric for b in self._problem.budgets if b.hard]
        return trial.measurement is not None and all(metric in trial.measurement for metric in needed)

    def _join(
        self, codes: NDArray[np.int64], points: NDArray[np.float64], violations: NDArray[np.float64]
    ) -> None:
        all_codes = np.concatenate([self._codes, codes])
        last = {key: row for row, key in enumerate(code_keys(all_codes))}
        rows = np.array(sorted(last.values()), dtype=np.int64)
        all_codes = all_codes[rows]
        all_points = np.concatenate([self._points, points])[rows]
        all_violations = np.concatenate([self._violations, violations])[rows]
        live = self._operators.survival(all_points, all_violations, self._settings.population)
        self._codes, self._points, self._violations = all_codes[live], all_points[live], all_violations[live]

    def _random(self, count: int) -> NDArray[np.int64]:
        drawn = sample_fresh(self._space, self._rng, count, self._seen)
        self._seen.add(drawn)
        return drawn

    def _children(self, count: int) -> NDArray[np.int64]:
        """Return up to ``count`` new codes bred from the living; fewer when they keep hitting known codes."""
        screening = self._problem.predict is not None and self._settings.screen > 1
        wanted = count * self._settings.screen if screening else count
        found = np.empty((0, len(self._space)), dtype=np.int64)
        for _ in range(_ROUNDS):
            if len(found) >= wanted:
                break
            bred = self._space.repair(self._bred(wanted - len(found)))
            found = self._seen.fresh(np.concatenate([found, bred]))
        if screening:
            found = self._screened(found, count)
        self._seen.add(found)
        return found

    def _bred(self, count: int) -> NDArray[np.int64]:
        rng, settings = self._rng, self._settings
        n = len(self._codes)
        mothers = self._codes[tournament(n, count, rng, pressure=settings.pressure)]
        fathers = self._codes[tournament(n, count, rng, pressure=settings.pressure)]
        crossed = rng.random(count) < settings.crossover
        mutated = ~crossed | (rng.random(count) < settings.mutation)
        children = mothers.copy()
        which = rng.integers(0, len(self._operators.crossovers), size=count)
        for index, cross in enumerate(self._operators.crossovers):
            rows = crossed & (which == index)
            children[rows] = cross(mothers[rows], fathers[rows], rng)
        which = rng.integers(0, len(self._operators.mutations), size=count)
        for index, mutate in enumerate(self._operators.mutations):
            rows = mutated & (which == index)
            children[rows] = mutate(children[rows], self._genes, rng)
        return children

    def _screened(self, codes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        """Return the ``count`` codes that the prediction ranks best; budgets on objectives take part.

        Objectives that nothing predicts do not.
        """
        if self._problem.predict is None or len(codes) <= count:
            return codes
        predicted = np.asarray(self._problem.predict(codes), dtype=np.float64)
        known = np.flatnonzero(~np.isnan(predicted).any(axis=0))
        predicted = predicted[:, known]
        excess = np.zeros(len(codes))
        metrics = [self._problem.objectives[i].metric for i in known]
        for budget in self._problem.budgets:
            if budget.hard and budget.metric in metrics:
                limit = -budget.limit if budget.at_least else budget.limit
                over = predicted[:, metrics.index(budget.metric)] - limit
                excess += np.maximum(over, 0.0) / (abs(limit) or 1.0)
        best = np.sort(constrained_order(predicted, excess)[:count])
        screened: NDArray[np.int64] = codes[best]
        return screened
