"""Random search: uniform members of the space without repetition, the baseline of every report."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any
from typing import ClassVar

import numpy as np

from automl.core.rng import child_rng
from automl.strategies.base import StrategyInfo
from automl.strategies.operators.dedup import SeenCodes
from automl.strategies.operators.sampling import sample_fresh
from automl.strategies.saved_state import check_state
from automl.strategies.saved_state import restore_rng
from automl.strategies.saved_state import rng_state

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from automl.core.candidate import Candidate
    from automl.core.trial import Trial
    from automl.strategies.base import Problem

__all__ = ["RandomSearch"]


class RandomSearch:
    """Proposes the problem's seeds, then uniform random candidates; never the untouched model, never twice.

    Args:
        problem: the problem; objectives and prices are not looked at.
    """

    info: ClassVar[StrategyInfo] = StrategyInfo(
        name="random", summary="uniform random candidates without repetition; the baseline", finite=True
    )

    def __init__(self, problem: Problem) -> None:
        self._space = problem.space
        self._rng = child_rng(problem.seed, "random")
        self._seen = SeenCodes()
        self._seen.add(self._space.default_code[None])
        seeds = self._space.encode(problem.seeds)
        self._seeds = self._seen.fresh(self._space.repair(seeds))

    def ask(self, count: int) -> list[Candidate]:
        """Return up to ``count`` new candidates; fewer only when the space is exhausted."""
        codes = self._seen.fresh(self._seeds)[: max(count, 0)]
        self._seen.add(codes)
        if len(codes) < count:
            drawn = sample_fresh(self._space, self._rng, count - len(codes), self._seen)
            self._seen.add(drawn)
            codes = np.concatenate([codes, drawn])
        return [self._space.decode(code) for code in codes]

    def tell(self, trials: Sequence[Trial]) -> None:
        """Remember what was evaluated elsewhere, so that it is not proposed again."""
        self._seen.add(self._space.encode([t.candidate for t in trials]))

    def state_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "strategy": self.info.name,
            "space": self._space.fingerprint,
            "rng": rng_state(self._rng),
            "seen": self._seen.keys,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore :meth:`state_dict`.

        Raises:
            StrategyError: the state belongs to another strategy or space.
        """
        check_state(state, self.info.name, self._space.fingerprint)
        restore_rng(self._rng, state["rng"])
        self._seen = SeenCodes(state["seen"])
