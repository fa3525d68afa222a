"""Exhaustive search: every member of a small space once, in an order that is always the same."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any
from typing import ClassVar

import numpy as np

from automl.core.errors import StrategyError
from automl.strategies.base import StrategyInfo
from automl.strategies.operators.gray_math import gray_codes
from automl.strategies.proposals import Proposals
from automl.strategies.saved_state import check_state

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from automl.core.candidate import Candidate
    from automl.core.trial import Trial
    from automl.strategies.base import Problem

__all__ = ["LARGEST", "Exhaustive"]

#: Most assignments of a space that is enumerated.
LARGEST = 1_000_000


class Exhaustive:
    """Proposes the problem's seeds, then every other member of the space in reflected Gray order.

    Neighbours in that order differ by one step of one decision, so what an evaluator keeps of the candidate
    before is of most use. Nothing is drawn and nothing is learned.

    Args:
        problem: only its space and seeds are looked at.

    Raises:
        StrategyError: the space has more than a million assignments.
    """

    info: ClassVar[StrategyInfo] = StrategyInfo(
        name="exhaustive",
        summary="every member of a space of at most a million, in a fixed order",
        finite=True,
    )

    def __init__(self, problem: Problem) -> None:
        self._space = problem.space
        if self._space.log10_size > np.log10(LARGEST) + 1e-9:
            number = f"about 10^{self._space.log10_size:.0f}"
            raise StrategyError(
                f"strategy 'exhaustive' would evaluate {number} candidates, and at most {LARGEST:,} are "
                "allowed; allow fewer options, or search with another strategy, such as exact or evolutionary"
            )
        self._size = int(np.prod(self._space.cardinalities))
        self._proposals = Proposals(problem)
        self._next = 0

    def ask(self, count: int) -> list[Candidate]:
        """Return the next ``count`` members; fewer only at the end."""
        codes = self._proposals.seeds(count)
        while len(codes) < count and self._next < self._size:
            wanted = count - len(codes)
            following = np.arange(self._next, min(self._next + wanted, self._size))
            self._next += len(following)
            block = gray_codes(following, self._space.cardinalities)
            # an inactive dimension off its default is no member, and its repaired twin has its own turn
            members = block[(self._space.repair(block) == block).all(axis=1)]
            codes = np.concatenate([codes, self._proposals.fresh(members, wanted)])
        return self._proposals.candidates(codes)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Remember what was evaluated elsewhere, so that it is not proposed again."""
        self._proposals.read(trials)

    def state_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "strategy": self.info.name,
            "space": self._space.fingerprint,
            "next": self._next,
            "seen": self._proposals.keys,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore :meth:`state_dict`.

        Raises:
            StrategyError: the state belongs to another strategy or space.
        """
        check_state(state, self.info.name, self._space.fingerprint)
        self._next = int(state["next"])
        self._proposals.restore(state["seen"])
