"""Middleware around a strategy: only legal members of the space get out.

What else goes around a search is not a strategy's business and lives where it can be kept: the ledger's
answer to a repeated candidate in ``automl.execution.trial_runner``, retries after a worker's death and time
limits of jobs in ``automl.execution.pool``, repeats and retries of a measurement in
``automl.execution.work_wrappers``, the time limit of a run in ``automl.engine.StopRule``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any
from typing import cast

import numpy as np

from automl.core.errors import SpaceError
from automl.core.errors import StrategyError
from automl.core.trial import Trial
from automl.core.trial import TrialState
from automl.strategies.base import Learning
from automl.strategies.base import MultiFidelity
from automl.strategies.base import Remarking

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.core.candidate import Candidate
    from automl.core.curve import LearningCurve
    from automl.core.trial import Fidelity
    from automl.strategies.base import Problem
    from automl.strategies.base import Strategy

__all__ = ["LegalMultiFidelity", "LegalOnly", "checked"]

_ROUNDS = 8
#: A refused candidate has no place in the ledger.
_NO_NUMBER = -1


class LegalOnly:
    """A strategy whose proposals are members of the space and pass a rule.

    What the rule refuses is told back at once as a failed trial, so that the strategy neither waits for it
    nor proposes it again, and others are asked for in its place. It keeps no state of its own.

    Args:
        inner: any strategy.
        problem: gives the space.
        legal: codes (n, n_dimensions) -> mask (n,), a rule across decisions that the space cannot state, for
            example a cap on what is known without measuring; None lets every member pass.
    """

    def __init__(
        self,
        inner: Strategy,
        problem: Problem,
        *,
        legal: Callable[[NDArray[np.int64]], NDArray[np.bool_]] | None = None,
    ) -> None:
        self.info = inner.info
        self._inner = inner
        self._space = problem.space
        self._legal = legal

    def ask(self, count: int) -> list[Candidate]:
        """Return up to ``count`` legal members of the space; fewer when the rule refuses nearly all.

        Raises:
            StrategyError: the strategy proposed something that is no member of the space.
        """
        kept: list[Candidate] = []
        for _ in range(_ROUNDS):
            asked = self._inner.ask(count - len(kept)) if len(kept) < count else []
            if not asked:
                break
            mask = self._passes(asked)
            kept += [c for c, passes in zip(asked, mask, strict=True) if passes]
            refused = [c for c, passes in zip(asked, mask, strict=True) if not passes]
            if refused:
                self._inner.tell([_refusal(candidate) for candidate in refused])
        return kept

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the strategy inside remarks."""
        return self._inner.remarks if isinstance(self._inner, Remarking) else ()

    @property
    def curves(self) -> tuple[LearningCurve, ...]:
        """What the strategy inside learned."""
        return self._inner.curves if isinstance(self._inner, Learning) else ()

    def tell(self, trials: Sequence[Trial]) -> None:
        """Pass the trials on."""
        self._inner.tell(trials)

    def state_dict(self) -> dict[str, Any]:
        """Return the strategy's own state."""
        return self._inner.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore :meth:`state_dict`."""
        self._inner.load_state_dict(state)

    def _passes(self, candidates: Sequence[Candidate]) -> NDArray[np.bool_]:
        try:
            for candidate in candidates:
                self._space.validate(candidate)
        except SpaceError as error:
            raise StrategyError(
                f"strategy {self.info.name} left the search space: {error}; mend its ask, for example with "
                "SearchSpace.repair"
            ) from error
        if self._legal is None:
            return np.ones(len(candidates), dtype=bool)
        return np.asarray(self._legal(self._space.encode(candidates)), dtype=bool)


class LegalMultiFidelity(LegalOnly):
    """The same around a strategy that says how much is to be spent on each proposal."""

    def fidelity(self, candidate: Candidate) -> Fidelity:
        """Return what the strategy inside says."""
        assert isinstance(self._inner, MultiFidelity)
        return self._inner.fidelity(candidate)


def checked(inner: Strategy, problem: Problem) -> Strategy:
    """Return ``inner`` with its proposals checked against the space, its choice of fidelities kept."""
    wrapper = LegalMultiFidelity if isinstance(inner, MultiFidelity) else LegalOnly
    # a strategy in all but its constructor, which the protocol fixes for the table's sake
    return cast("Strategy", wrapper(inner, problem))


def _refusal(candidate: Candidate) -> Trial:
    return Trial(_NO_NUMBER, candidate, TrialState.FAILED, failure="refused before it was evaluated")
