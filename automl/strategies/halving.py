"""Successive halving around any strategy: a subset of the samples first, all of them for the best."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace
from typing import TYPE_CHECKING
from typing import Any
from typing import ClassVar

import numpy as np

from automl.core.dominance import constrained_order
from automl.core.errors import StrategyError
from automl.core.trial import Fidelity
from automl.core.trial import TrialState
from automl.strategies.base import Learning
from automl.strategies.base import Remarking
from automl.strategies.base import StrategyInfo
from automl.strategies.operators.dedup import code_keys
from automl.strategies.proposals import Proposals
from automl.strategies.rated import Rated
from automl.strategies.saved_state import check_state
from automl.strategies.table import make_strategy
from automl.strategies.table import strategy_class

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.core.candidate import Candidate
    from automl.core.curve import LearningCurve
    from automl.core.trial import Trial
    from automl.strategies.base import Problem

__all__ = ["Halving", "HalvingSettings"]


@dataclass(frozen=True)
class HalvingSettings:
    """How halving works.

    Args:
        keep: one of this many candidates measured on the subset goes on to the whole set.

    Raises:
        StrategyError: nobody would be left out.
    """

    keep: int = 3

    def __post_init__(self) -> None:
        if self.keep < 2:
            raise StrategyError(f"keep={self.keep} would leave nobody out; give 2 or more")


class Halving:
    """Asynchronous successive halving by non-domination and constraint, around another strategy.

    What the inner strategy proposes is measured on a subset of the samples; whoever is among the best third
    of all that were goes on to the whole set. Best means: feasible before infeasible, these by violation,
    those by rank of non-domination and then by crowding. The inner strategy is told both measurements of a
    candidate, so it learns from the cheap ones too. When it has no more to propose, the others go on to the
    whole set in order, best first.

    Args:
        problem: given to the inner strategy as it is.
        settings: see :class:`HalvingSettings`; its defaults when None.

    Reference:
        Li et al., "A System for Massively Parallel Hyperparameter Tuning", arXiv 1810.05934, for the
        promotions without rounds; the order by constrained non-domination is ours.
    """

    #: Name of the strategy inside.
    inner: ClassVar[str] = "evolutionary"
    info: ClassVar[StrategyInfo] = StrategyInfo(
        name="halving",
        summary="evolutionary on a subset of the samples, the best third on all; halving:NAME wraps another",
        paper="A System for Massively Parallel Hyperparameter Tuning, arXiv 1810.05934",
        finite=True,
        uses_predictions=True,
    )

    @classmethod
    def variant(cls, name: str) -> type[Halving]:
        """Return halving around the strategy called ``name``.

        Raises:
            StrategyError: no strategy has that name, or it is halving itself.
        """
        if name.partition(":")[0] == cls.info.name:
            raise StrategyError("halving around halving halves nothing more; name another strategy inside")
        inside = strategy_class(name).info
        info = replace(
            inside,
            name=f"{cls.info.name}:{inside.name}",
            summary=f"successive halving around {inside.name}: a subset of the samples first",
            paper=cls.info.paper,
        )
        return type(f"HalvingOf{inside.name.title().replace(':', '')}", (cls,), {"info": info, "inner": name})

    def __init__(self, problem: Problem, *, settings: HalvingSettings | None = None) -> None:
        self._problem = problem
        self._space = problem.space
        self._settings = settings or HalvingSettings()
        self._inside = make_strategy(self.inner, problem)
        self._reader = Proposals(problem)
        # what the subset said, latest for each candidate, and who needs no other measurement
        self._subset = Rated.empty(problem)
        self._done: dict[str, None] = {}
        self._asked: dict[str, Fidelity] = {}

    def ask(self, count: int) -> list[Candidate]:
        """Return up to ``count`` candidates: those that go on, then new ones; see :meth:`fidelity`."""
        chosen = self._going_on(count, exhausted=False)
        fresh = self._inside.ask(count - len(chosen)) if len(chosen) < count else []
        self._asked.update({c.digest: Fidelity.SUBSET for c in fresh})
        if len(chosen) + len(fresh) < count:
            chosen += self._going_on(count - len(chosen) - len(fresh), exhausted=True)
        return chosen + fresh

    def fidelity(self, candidate: Candidate) -> Fidelity:
        """Return how much is to be spent on a candidate that was asked for."""
        return self._asked.get(candidate.digest, Fidelity.FULL)

    @property
    def remarks(self) -> tuple[str, ...]:
        """How many were measured on the subset and went on, and what the inner strategy remarks."""
        went = sum(key in self._done for key in code_keys(self._subset.codes))
        inner = self._inside.remarks if isinstance(self._inside, Remarking) else ()
        return (f"halving: {len(self._subset)} measured on a subset, {went} of them on the whole", *inner)

    @property
    def curves(self) -> tuple[LearningCurve, ...]:
        """What the inner strategy learned."""
        return self._inside.curves if isinstance(self._inside, Learning) else ()

    def tell(self, trials: Sequence[Trial]) -> None:
        """Take the subset's measurements in for the order, and tell the inner strategy everything."""
        cheap = [t for t in trials if t.fidelity is Fidelity.SUBSET]
        settled = [t for t in trials if t.fidelity is not Fidelity.SUBSET or t.state is TrialState.FAILED]
        self._subset = self._subset.joined(self._reader.read(cheap)).latest()
        self._done.update(dict.fromkeys(self._keys([t.candidate for t in settled])))
        for trial in trials:
            self._asked.pop(trial.candidate.digest, None)
        self._inside.tell(trials)

    def state_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "strategy": self.info.name,
            "space": self._space.fingerprint,
            "inside": self._inside.state_dict(),
            "subset": self._subset.state,
            "done": list(self._done),
            "asked": {digest: str(fidelity) for digest, fidelity in self._asked.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore :meth:`state_dict`.

        Raises:
            StrategyError: the state belongs to another strategy or space.
        """
        check_state(state, self.info.name, self._space.fingerprint)
        self._inside.load_state_dict(state["inside"])
        self._subset = Rated.from_state(self._problem, state["subset"])
        self._done = dict.fromkeys(state["done"])
        self._asked = {digest: Fidelity(value) for digest, value in state["asked"].items()}

    def _going_on(self, count: int, *, exhausted: bool) -> list[Candidate]:
        """Return up to ``count`` candidates for the whole set, best first; all may when nobody else comes."""
        rows, keys = self._ranked(), code_keys(self._subset.codes)
        allowed = len(rows) if exhausted else len(rows) // self._settings.keep
        best = [int(row) for row in rows[:allowed] if keys[row] not in self._done]
        # a search that gets better always has new ones among its best third: more than a third would go on
        went = sum(key in self._done for key in keys)
        best = best[: max(min(count, allowed - went), 0)]
        chosen = [self._space.decode(self._subset.codes[row]) for row in best]
        self._done.update(dict.fromkeys(keys[row] for row in best))
        self._asked.update({c.digest: Fidelity.FULL for c in chosen})
        return chosen

    def _ranked(self) -> NDArray[np.int64]:
        """Return the rows of the subset's measurements, best first."""
        if not len(self._subset):
            return np.empty(0, dtype=np.int64)
        order: NDArray[np.int64] = constrained_order(self._subset.points, self._subset.violations)
        return order

    def _keys(self, candidates: Sequence[Candidate]) -> list[str]:
        return code_keys(self._space.encode(candidates))
