"""Survival by niches around reference directions, with the running bounds that normalize the objectives."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from automl.core.dominance import constrained_order
from automl.core.dominance import nondominated_sort
from automl.strategies.operators.niche_math import associate
from automl.strategies.operators.niche_math import extreme_points
from automl.strategies.operators.niche_math import nadir_point
from automl.strategies.operators.niche_math import niche_order
from automl.strategies.saved_state import restore_rng
from automl.strategies.saved_state import rng_state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["NicheSurvival"]


class NicheSurvival:
    """Feasible rows front by front, each filled niche by niche; infeasible ones by violation after them.

    The ideal and worst values and the extreme points are those of every feasible row ever seen, so a call
    depends on the calls before it; :meth:`state_dict` holds them.

    Args:
        directions: (n_directions, n_objectives), see ``reference_directions``.
        rng: draws among equal niches and among the members of a niche.

    Reference:
        Deb, Jain, "An evolutionary many-objective optimization algorithm using reference-point-based
        nondominated sorting approach, part I", 2014. Deviation: whole fronts are ordered by niches too, which
        keeps the same rows and lets the head of the order be used alone.
    """

    def __init__(self, directions: NDArray[np.float64], rng: np.random.Generator) -> None:
        width = directions.shape[1]
        self._directions = directions
        self._rng = rng
        self._ideal = np.full(width, np.inf)
        self._worst = np.full(width, -np.inf)
        self._extremes = np.empty((0, width))

    def __call__(
        self, points: NDArray[np.float64], violations: NDArray[np.float64], size: int
    ) -> NDArray[np.int64]:
        """Return the rows that live, best first, at most ``size``."""
        feasible, infeasible = np.flatnonzero(violations <= 0), np.flatnonzero(violations > 0)
        chosen = feasible[self._filled(points[feasible], size)] if feasible.size else feasible
        if len(chosen) < size:
            rest = infeasible[constrained_order(points[infeasible], violations[infeasible])]
            chosen = np.concatenate([chosen, rest])
        return chosen[:size]

    def state_dict(self) -> dict[str, Any]:
        """Return plain JSON; bounds are empty until a feasible row was seen."""
        seen = bool(len(self._extremes))
        return {
            "ideal": self._ideal.tolist() if seen else [],
            "worst": self._worst.tolist() if seen else [],
            "extremes": self._extremes.tolist(),
            "rng": rng_state(self._rng),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore :meth:`state_dict`.

        Raises:
            StrategyError: the generator's state is damaged.
        """
        width = self._directions.shape[1]
        seen = bool(state["extremes"])
        self._ideal = np.array(state["ideal"]) if seen else np.full(width, np.inf)
        self._worst = np.array(state["worst"]) if seen else np.full(width, -np.inf)
        self._extremes = np.array(state["extremes"], dtype=np.float64).reshape(-1, width)
        restore_rng(self._rng, state["rng"])

    def _filled(self, points: NDArray[np.float64], size: int) -> NDArray[np.int64]:
        """Return up to ``size`` of the feasible rows, front by front and niche by niche."""
        ranks = nondominated_sort(points)
        niches, distances = associate(self._normalized(points, points[ranks == 0]), self._directions)
        counts = np.zeros(len(self._directions), dtype=np.int64)
        chosen = np.empty(0, dtype=np.int64)
        for rank in range(int(ranks.max()) + 1):
            if len(chosen) >= size:
                break
            members = np.flatnonzero(ranks == rank)
            order = niche_order(niches[members], distances[members], counts, self._rng)
            chosen = np.concatenate([chosen, members[order]])
            counts += np.bincount(niches[members], minlength=len(counts))
        return chosen[:size]

    def _normalized(self, points: NDArray[np.float64], front: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``points`` with the ideal at 0 and the nadir at 1, after the bounds took them in."""
        self._ideal = np.minimum(self._ideal, points.min(axis=0))
        self._worst = np.maximum(self._worst, points.max(axis=0))
        self._extremes = extreme_points(front, self._ideal, self._extremes)
        nadir = nadir_point(self._extremes, self._ideal, front.max(axis=0), self._worst)
        span = nadir - self._ideal
        normalized: NDArray[np.float64] = (points - self._ideal) / np.where(span > 0, span, 1.0)
        return normalized
