"""(1+lambda) level swaps: one parent, children that spend the same budget otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any
from typing import ClassVar

import numpy as np

from automl.core.dominance import constrained_sort
from automl.core.errors import StrategyError
from automl.core.rng import child_rng
from automl.strategies.base import StrategyInfo
from automl.strategies.operators.acceptance import acceptance_order
from automl.strategies.operators.mutation import Genes
from automl.strategies.operators.mutation import gene_mutation
from automl.strategies.operators.mutation import swap_mutation
from automl.strategies.operators.pinned_swap import LevelCosts
from automl.strategies.operators.pinned_swap import pinned_swap
from automl.strategies.operators.selection import crowding_survival
from automl.strategies.proposals import Proposals
from automl.strategies.rated import Rated
from automl.strategies.saved_state import check_state
from automl.strategies.saved_state import restore_rng
from automl.strategies.saved_state import rng_state

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.core.budget import Budget
    from automl.core.candidate import Candidate
    from automl.core.trial import Trial
    from automl.strategies.base import Problem

__all__ = ["LevelSwap", "LevelSwapSettings"]

# children that hit known codes are drawn again, with one more swap a round
_ROUNDS = 8
# a swap that keeps the budget on paper may miss it by rounding
_ROUNDING = 1e-9
# share of children that change a single decision where costs are unknown: swaps alone cannot use up a budget
_SINGLE = 0.25


@dataclass(frozen=True)
class LevelSwapSettings:
    """How the search runs.

    Args:
        starts: random candidates before the first parent is chosen; the problem's seeds count.
        most: the most swaps of a child; small numbers are more often drawn.
        front: parents kept where no hard budget names one end of the front.

    Raises:
        StrategyError: a number is out of range.
    """

    starts: int = 16
    most: int = 3
    front: int = 32

    def __post_init__(self) -> None:
        if min(self.starts, self.most, self.front) < 1:
            raise StrategyError(
                f"starts, most and front must be at least 1; got {self.starts}, {self.most}, {self.front}"
            )


class LevelSwap:
    """One elitist parent whose children raise some decisions a level and lower others.

    With prices for the metric of a hard budget, children spend by these prices what the parent's own
    measurement leaves of the budget: swaps are matched by cost, the budget is kept nearly used, and a parent
    beyond it is lowered first. **Without such prices** (no tables, or no hard upper limit on a priced metric)
    they are plain swaps of steps, as many up as down on average, or for a quarter of them one changed
    decision, and only selection keeps the budget. Of several priced budgets the first is kept by the swaps,
    the others by selection. Where no hard budget names one end of the front, each child's parent is drawn
    from the front.

    A child that is better than its parent (less violation, then the first objective, then the others) takes
    its place as soon as it is told; lambda is however many are asked for.

    Args:
        problem: its tables are used when they price a hard budget.
        settings: see :class:`LevelSwapSettings`; its defaults when None.

    Reference:
        "EvoPress: Towards Optimal Dynamic Model Compression via Evolutionary Search", arXiv 2410.14649.
        Deviations: unequal costs are matched as nearly as they come, the parent may change within a
        generation, every child is fully evaluated (a multi-fidelity wrapper may do otherwise), and no
        candidate is proposed twice.
    """

    info: ClassVar[StrategyInfo] = StrategyInfo(
        name="levelswap",
        summary="(1+lambda) evolution by swaps of levels that keep the budget spent",
        paper="EvoPress: Towards Optimal Dynamic Model Compression via Evolutionary Search, arXiv 2410.14649",
        finite=True,
        uses_tables=True,
    )

    def __init__(self, problem: Problem, *, settings: LevelSwapSettings | None = None) -> None:
        self._problem = problem
        self._settings = settings or LevelSwapSettings()
        self._focused = any(b.hard for b in problem.budgets) or len(problem.objectives) == 1
        self._genes = Genes.of(problem.space)
        self._rng = child_rng(problem.seed, "levelswap")
        self._proposals = Proposals(problem)
        self._pinned = _pinned_budget(problem)
        self._costs = _costs_of(problem, self._pinned, self._genes)
        self._asked = 0
        self._parents = Rated.empty(problem)
        # what each parent's measurement leaves of the pinned budget, in its metric's unit
        self._room = np.empty(0)

    def ask(self, count: int) -> list[Candidate]:
        """Return up to ``count`` new candidates; fewer only when the space is exhausted."""
        breed = self._children if len(self._parents) else None
        start = self._settings.starts - self._asked
        codes = self._proposals.generation(self._rng, count, start=start, breed=breed)
        self._asked += len(codes)
        return self._proposals.candidates(codes)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Let better candidates take the parents' places."""
        told = self._proposals.read(trials)
        informing = [t for t in trials if self._proposals.informs(t)]
        pinned = self._pinned
        room = [0.0 if pinned is None else pinned.limit - t.value(pinned.metric) for t in informing]
        joined = self._parents.joined(told)
        rooms = np.concatenate([self._room, np.array(room, dtype=np.float64)])
        if self._focused:
            live = acceptance_order(joined.points, joined.violations, focused=True)[:1]
        else:
            live = np.flatnonzero(constrained_sort(joined.points, joined.violations) == 0)
            front = joined.take(live)
            live = live[crowding_survival(front.points, front.violations, self._settings.front)]
        self._parents, self._room = joined.take(live), rooms[live]

    def state_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "strategy": self.info.name,
            "space": self._problem.space.fingerprint,
            "rng": rng_state(self._rng),
            "asked": self._asked,
            "seen": self._proposals.keys,
            "room": self._room.tolist(),
            **self._parents.state,
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
        self._parents = Rated.from_state(self._problem, state)
        self._room = np.array(state["room"], dtype=np.float64)

    def _children(self, count: int) -> NDArray[np.int64]:
        """Return up to ``count`` new children; where the near ones are known, ones with more swaps."""
        found = np.empty((0, len(self._problem.space)), dtype=np.int64)
        for extra in range(_ROUNDS):
            if len(found) >= count:
                break
            wanted = count - len(found)
            rows = self._rng.integers(0, len(self._parents), size=wanted)
            children = self._problem.space.repair(self._swapped(rows, self._settings.most + extra))
            found = np.concatenate([found, self._proposals.fresh(children, wanted)])
        return found

    def _swapped(self, rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
        parents = self._parents.codes[rows]
        if self._costs is None:
            swapped = swap_mutation(parents, self._genes, self._rng, most=most)
            single = gene_mutation(parents, self._genes, self._rng, expected=0.0, steps=1.0)
            return np.where(self._rng.random((len(parents), 1)) < _SINGLE, single, swapped)
        rounding = _ROUNDING * abs(self._pinned.limit) if self._pinned is not None else 0.0
        children = [
            pinned_swap(code, self._costs, float(room) + rounding, self._rng, most=most)
            for code, room in zip(parents, self._room[rows], strict=True)
        ]
        return np.array(children, dtype=np.int64).reshape(parents.shape)


def _pinned_budget(problem: Problem) -> Budget | None:
    """Return the first hard upper limit on a priced metric."""
    priced = {} if problem.tables is None else problem.tables.unary
    found = (b for b in problem.budgets if b.hard and not b.at_least and b.metric in priced)
    return next(found, None)


def _costs_of(problem: Problem, pinned: Budget | None, genes: Genes) -> LevelCosts | None:
    if pinned is None or problem.tables is None:
        return None
    return LevelCosts.of(
        problem.tables.unary[pinned.metric], problem.tables.pairwise.get(pinned.metric, {}), genes
    )
