"""Rated codes: candidates with what was measured of them, as arrays; populations are made of these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from automl.strategies.operators.dedup import code_keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from automl.strategies.base import Problem

__all__ = ["Rated"]


@dataclass(frozen=True, eq=False)
class Rated:
    """Codes with their objectives and violations.

    Args:
        codes: (n, n_dimensions).
        points: (n, n_objectives), minimized.
        violations: (n,), total violation of the hard budgets; 0 when feasible.
    """

    codes: NDArray[np.int64]
    points: NDArray[np.float64]
    violations: NDArray[np.float64]

    @classmethod
    def empty(cls, problem: Problem) -> Rated:
        """Return no rows, in the shapes of ``problem``."""
        return cls.from_state(problem, {"codes": [], "points": [], "violations": []})

    @classmethod
    def from_state(cls, problem: Problem, state: Mapping[str, Any]) -> Rated:
        """Return what :attr:`state` of rows of ``problem`` holds."""
        n = len(state["codes"])
        return cls(
            np.array(state["codes"], dtype=np.int64).reshape(n, len(problem.space)),
            np.array(state["points"], dtype=np.float64).reshape(n, len(problem.objectives)),
            np.array(state["violations"], dtype=np.float64).reshape(n),
        )

    @property
    def state(self) -> dict[str, Any]:
        """The rows as plain JSON."""
        return {
            "codes": self.codes.tolist(),
            "points": self.points.tolist(),
            "violations": self.violations.tolist(),
        }

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: NDArray[np.int64] | slice) -> Rated:
        """Return the given rows, in that order."""
        return Rated(self.codes[rows], self.points[rows], self.violations[rows])

    def joined(self, others: Rated) -> Rated:
        """Return these rows and then ``others``."""
        return Rated(
            np.concatenate([self.codes, others.codes]),
            np.concatenate([self.points, others.points]),
            np.concatenate([self.violations, others.violations]),
        )

    def latest(self) -> Rated:
        """Return one row a code, the last one where a code was rated again, in order."""
        last = {key: row for row, key in enumerate(code_keys(self.codes))}
        return self.take(np.array(sorted(last.values()), dtype=np.int64))
