"""NSGA-II on true evaluations: steady state, any number asked at a time, late and failed trials welcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any
from typing import ClassVar

import numpy as np

from automl.core.dominance import constrained_order
from automl.core.errors import StrategyError
from automl.core.rng import child_rng
from automl.strategies.base import StrategyInfo
from automl.strategies.operators.crossover import BlockCrossover
from automl.strategies.operators.crossover import KPointCrossover
from automl.strategies.operators.crossover import UniformCrossover
from automl.strategies.operators.mutation import BlockMutation
from automl.strategies.operators.mutation import GeneMutation
from automl.strategies.operators.mutation import Genes
from automl.strategies.operators.mutation import SwapMutation
from automl.strategies.operators.selection import CrowdingSurvival
from automl.strategies.operators.selection import FocusedSurvival
from automl.strategies.operators.selection import tournament
from automl.strategies.proposals import Proposals
from automl.strategies.rated import Rated
from automl.strategies.saved_state import check_state
from automl.strategies.saved_state import restore_rng
from automl.strategies.saved_state import rng_state
from automl.strategies.screening import predicted_ratings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.core.candidate import Candidate
    from automl.core.trial import Trial
    from automl.strategies.base import Problem
    from automl.strategies.operators.crossover import Crossover
    from automl.strategies.operators.mutation import Mutation
    from automl.strategies.operators.selection import Mating
    from automl.strategies.operators.selection import Survival

__all__ = ["EvolutionSettings", "Evolutionary", "Operators", "bred"]

_ROUNDS = 8


@dataclass(frozen=True, eq=False)
class Operators:
    """The bundle of operators; a child gets one crossover and one mutation, each drawn with equal chance.

    Args:
        survival: chooses who lives.
        crossovers: at least one.
        mutations: at least one.
        mating: draws the parents; None for the tournament on the order in which the survivors stand.
    """

    survival: Survival
    crossovers: tuple[Crossover, ...]
    mutations: tuple[Mutation, ...]
    mating: Mating | None = None

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
        start: candidates, seeds and those from elsewhere included, before the first child is bred; as many as
            the population when None.

    Raises:
        StrategyError: a number is out of range.
    """

    population: int = 64
    crossover: float = 0.6
    mutation: float = 0.7
    pressure: int = 2
    screen: int = 4
    start: int | None = None

    def __post_init__(self) -> None:
        at_least_one = (self.pressure, self.screen, 1 if self.start is None else self.start)
        if self.population < 2 or min(at_least_one) < 1:
            raise StrategyError(
                "population must be at least 2 and pressure, screen and start at least 1; got "
                f"{self.population}, {self.pressure}, {self.screen}, {self.start}"
            )
        if not (0 <= self.crossover <= 1 and 0 <= self.mutation <= 1):
            raise StrategyError(
                f"crossover and mutation are probabilities; got {self.crossover}, {self.mutation}"
            )


def bred(
    mothers: NDArray[np.int64],
    fathers: NDArray[np.int64],
    operators: Operators,
    settings: EvolutionSettings,
    genes: Genes,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Return one child a pair of parents, crossed, mutated or both; all (n, n_dimensions), not repaired."""
    count = len(mothers)
    crossed = rng.random(count) < settings.crossover
    mutated = ~crossed | (rng.random(count) < settings.mutation)
    children = mothers.copy()
    which = rng.integers(0, len(operators.crossovers), size=count)
    for index, cross in enumerate(operators.crossovers):
        rows = crossed & (which == index)
        children[rows] = cross(mothers[rows], fathers[rows], rng)
    which = rng.integers(0, len(operators.mutations), size=count)
    for index, mutate in enumerate(operators.mutations):
        rows = mutated & (which == index)
        children[rows] = mutate(children[rows], genes, rng)
    return children


class Evolutionary:
    """NSGA-II with Deb's constrained dominance, steady state.

    The first proposals are the problem's seeds and random candidates up to the size of the population, what
    is known from elsewhere included; after that children of the living. Every told trial joins the population
    at once and the survivors are chosen, so ``ask`` may be called with any count and trials may come late,
    failed or from elsewhere. Complete ones that lack an objective or a budget's metric (a cheap fidelity that
    skips timing) are only remembered as proposed; a candidate told again replaces its former values.

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
        uses_predictions=True,
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
        self._genes = Genes.of(self._space)
        self._rng = child_rng(problem.seed, "evolutionary")
        self._proposals = Proposals(problem)
        self._asked = 0
        self._living = Rated.empty(problem)

    @property
    def to_start(self) -> int:
        """Candidates, seeds included, that are still to be proposed before the first child is bred."""
        begun = self._settings.start or self._settings.population
        return max(begun - max(self._asked, len(self._living)), 0)

    def ask(self, count: int) -> list[Candidate]:
        """Return up to ``count`` new candidates; fewer only when the space is exhausted."""
        breed = self._children if len(self._living) else None
        codes = self._proposals.generation(self._rng, count, start=self.to_start, breed=breed)
        self._asked += len(codes)
        return self._proposals.candidates(codes)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Let complete trials join the population, then let the best survive."""
        self._join(self._proposals.read(trials))

    def state_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "strategy": self.info.name,
            "space": self._space.fingerprint,
            "rng": rng_state(self._rng),
            "asked": self._asked,
            "seen": self._proposals.keys,
            **self._living.state,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore :meth:`state_dict`.

        Raises:
            StrategyError: the state belongs to another strategy or space.
        """
        check_state(state, self.info.name, self._space.fingerprint)
        restore_rng(self._rng, state["rng"])
        self._asked = int(state["asked"])
        self._proposals.restore(state["seen"])
        self._living = Rated.from_state(self._problem, state)

    def _join(self, told: Rated) -> None:
        if len(told):
            joined = self._living.joined(told).latest()
            live = self._operators.survival(joined.points, joined.violations, self._settings.population)
            self._living = joined.take(live)

    def _children(self, count: int) -> NDArray[np.int64]:
        """Return up to ``count`` new codes bred from the living; fewer when they keep hitting known codes."""
        screening = self._problem.predict is not None and self._settings.screen > 1
        wanted = count * self._settings.screen if screening else count
        found = np.empty((0, len(self._space)), dtype=np.int64)
        for _ in range(_ROUNDS):
            if len(found) >= wanted:
                break
            bred = self._space.repair(self._bred(wanted - len(found)))
            found = self._proposals.seen.fresh(np.concatenate([found, bred]))
        if screening:
            found = self._screened(found, count)
        return self._proposals.fresh(found, count)

    def _bred(self, count: int) -> NDArray[np.int64]:
        living = self._living.codes
        mothers, fathers = living[self._mates(count)], living[self._mates(count)]
        return bred(mothers, fathers, self._operators, self._settings, self._genes, self._rng)

    def _mates(self, count: int) -> NDArray[np.int64]:
        if self._operators.mating is not None:
            return self._operators.mating(self._living.violations, count, self._rng)
        return tournament(len(self._living), count, self._rng, pressure=self._settings.pressure)

    def _screened(self, codes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        """Return the ``count`` codes that the prediction ranks best; budgets on objectives take part.

        Objectives that nothing predicts do not.
        """
        ratings = None if len(codes) <= count else predicted_ratings(self._problem, codes)
        if ratings is None:
            return codes
        best = np.sort(constrained_order(*ratings)[:count])
        screened: NDArray[np.int64] = codes[best]
        return screened
