"""Aging evolution: tournaments choose the parent, the oldest member dies, one gene changes at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any
from typing import ClassVar

import numpy as np

from automl.core.errors import StrategyError
from automl.core.rng import child_rng
from automl.strategies.base import StrategyInfo
from automl.strategies.operators.mutation import Genes
from automl.strategies.operators.mutation import gene_mutation
from automl.strategies.operators.selection import CrowdingSurvival
from automl.strategies.operators.selection import FocusedSurvival
from automl.strategies.proposals import Proposals
from automl.strategies.rated import Rated
from automl.strategies.saved_state import check_state
from automl.strategies.saved_state import restore_rng
from automl.strategies.saved_state import rng_state

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.core.candidate import Candidate
    from automl.core.trial import Trial
    from automl.searchspaces.space import SearchSpace
    from automl.strategies.base import Problem
    from automl.strategies.operators.selection import Survival

__all__ = ["Aging", "AgingSettings"]

# a child that is known is mutated once more a round
_ROUNDS = 6
_SMALLEST, _LARGEST = 32, 100


@dataclass(frozen=True)
class AgingSettings:
    """How the population is run.

    Args:
        population: members that live; the oldest leave.
        sample: members a tournament compares.
        identity: probability that, as a trial joins, the winner of a tournament is reborn as the youngest.

    Raises:
        StrategyError: a number is out of range.
    """

    population: int = 100
    sample: int = 25
    identity: float = 0.05

    def __post_init__(self) -> None:
        if self.population < 2 or self.sample < 1 or not 0 <= self.identity < 1:
            raise StrategyError(
                f"population must be at least 2, sample at least 1 and identity in [0, 1); got "
                f"{self.population}, {self.sample}, {self.identity}"
            )

    @classmethod
    def for_space(cls, space: SearchSpace) -> AgingSettings:
        """Return 4 members for every dimension with a choice, 32 to 100 of them, a quarter a tournament."""
        free = int((space.cardinalities > 1).sum())
        population = min(max(4 * free, _SMALLEST), _LARGEST)
        return cls(population, population // 4)


class Aging:
    """Regularized evolution: what lives is what is young, so a lucky measurement cannot stay for ever.

    Fitness is a place in a line: by Deb's constrained rank and crowding, and under a hard budget in turn also
    by the first objective alone, as the survivors of ``evolutionary`` are lined up.

    Args:
        problem: objectives and hard budgets decide; prices are not looked at.
        settings: :meth:`AgingSettings.for_space` when None.

    Reference:
        Real et al., "Regularized evolution for image classifier architecture search", arXiv 1802.01548.
        Deviations: the mutation that changes nothing evaluates nothing, the parent is reborn with its values;
        a child that is known is mutated further; any number of trials may be under way.
    """

    info: ClassVar[StrategyInfo] = StrategyInfo(
        name="aging",
        summary="regularized evolution: tournament, one mutation, the oldest dies",
        paper="Regularized evolution for image classifier architecture search, arXiv 1802.01548",
        finite=True,
    )

    def __init__(self, problem: Problem, *, settings: AgingSettings | None = None) -> None:
        self._problem = problem
        self._settings = settings or AgingSettings.for_space(problem.space)
        budgeted = any(b.hard for b in problem.budgets)
        self._line: Survival = FocusedSurvival() if budgeted else CrowdingSurvival()
        self._genes = Genes.of(problem.space)
        self._rng = child_rng(problem.seed, "aging")
        self._proposals = Proposals(problem)
        self._asked = 0
        # the oldest first
        self._living = Rated.empty(problem)

    def ask(self, count: int) -> list[Candidate]:
        """Return up to ``count`` new candidates; fewer only when the space is exhausted."""
        breed = self._children if len(self._living) else None
        start = self._settings.population - self._asked
        codes = self._proposals.generation(self._rng, count, start=start, breed=breed)
        self._asked += len(codes)
        return self._proposals.candidates(codes)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Let complete trials join as the youngest, then let the oldest go."""
        told = self._proposals.read(trials)
        for row in range(len(told)):
            self._join(told.take(slice(row, row + 1)))
            if self._rng.random() < self._settings.identity:
                self._join(self._living.take(self._winners(1)))

    def state_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "strategy": self.info.name,
            "space": self._problem.space.fingerprint,
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
        check_state(state, self.info.name, self._problem.space.fingerprint)
        restore_rng(self._rng, state["rng"])
        self._asked = int(state["asked"])
        self._proposals.restore(state["seen"])
        self._living = Rated.from_state(self._problem, state)

    def _join(self, youngest: Rated) -> None:
        self._living = self._living.joined(youngest).take(slice(-self._settings.population, None))

    def _winners(self, count: int) -> NDArray[np.int64]:
        """Return the winners of ``count`` tournaments among the living, (count,)."""
        n = len(self._living)
        place = np.empty(n, dtype=np.int64)
        place[self._line(self._living.points, self._living.violations, n)] = np.arange(n)
        compared = self._rng.integers(0, n, size=(count, self._settings.sample))
        winners: NDArray[np.int64] = compared[np.arange(count), place[compared].argmin(axis=1)]
        return winners

    def _children(self, count: int) -> NDArray[np.int64]:
        """Return up to ``count`` new codes, one gene from their parents unless those neighbours are known."""
        found = np.empty((0, len(self._problem.space)), dtype=np.int64)
        for changes in range(1, _ROUNDS + 1):
            if len(found) >= count:
                break
            children = self._living.codes[self._winners(count - len(found))]
            for _ in range(changes):
                children = gene_mutation(children, self._genes, self._rng, expected=0.0)
            children = self._problem.space.repair(children)
            found = np.concatenate([found, self._proposals.fresh(children, count)])
        return found
