"""The constraint-aware reward with its running statistics: what is good is judged against the recent past."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from automl.strategies.reward_math import adapted_exponent
from automl.strategies.reward_math import blended_moments
from automl.strategies.reward_math import soft_reward
from automl.strategies.reward_math import standard_scores

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.core.budget import Budget
    from automl.core.measurement import Measurement

__all__ = ["RewardSettings", "RunningReward", "log_excess"]

#: Standard score of a failed trial; the lower bound of the scores of completed ones.
_FAILED = -3.0


def log_excess(budgets: Sequence[Budget], measurement: Measurement) -> list[float]:
    """Return ``log(1 + violation)`` of each budget, 0 where it is met or its metric was not measured."""
    return [float(np.log1p(b.violation(measurement))) if b.metric in measurement else 0.0 for b in budgets]


@dataclass(frozen=True)
class RewardSettings:
    """How rewards are formed.

    Args:
        memory: weight an episode keeps in the running mean and variance after one more episode.
        exponent: of a budget's term, at the start for hard ones, throughout for soft ones.
        met: share of episodes that should meet the hard budgets; their exponent moves until they do.
        rate: logarithmic step of that exponent a batch; 0 holds it.
    """

    memory: float = 0.97
    exponent: float = 10.0
    met: float = 0.6
    rate: float = 0.1


class RunningReward:
    """Rewards of batches of episodes by :func:`automl.strategies.reward_math.soft_reward`.

    Quality is normalized by an exponentially weighted mean and variance of the episodes themselves, so the
    scale follows the policy: early on only the large effects count, later the small ones. The exponent of the
    hard budgets rises while too few episodes meet them and falls while more do than need to.

    Args:
        n_objectives: number of objectives.
        budgets: the budgets, in the order of the columns of every ``excess``.
        settings: see :class:`RewardSettings`; its defaults when None.
    """

    def __init__(
        self, n_objectives: int, budgets: Sequence[Budget], settings: RewardSettings | None = None
    ) -> None:
        self._settings = settings or RewardSettings()
        self._hard = np.array([b.hard for b in budgets], dtype=bool)
        self._exponent = self._settings.exponent
        self._mean = np.zeros(n_objectives)
        self._variance = np.zeros(n_objectives)
        self._first: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None

    def batch(
        self,
        points: NDArray[np.float64],
        excess: NDArray[np.float64],
        weights: NDArray[np.float64],
        failed: NDArray[np.bool_],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Take a batch in and return (rewards, rewards on the scale of the first batch), both (n,).

        The second one does not move with the statistics, so it is what a training curve shows.

        Args:
            points: (n, n_objectives), minimized; rows of failed episodes are not looked at.
            excess: (n, n_budgets), see :func:`log_excess`.
            weights: (n, n_objectives), see ``soft_reward``.
            failed: (n,); a failed episode counts as worst in every objective.
        """
        self._take(points[~failed])
        met = (excess[:, self._hard].sum(axis=1) == 0) & ~failed
        rewards = self._formed(points, excess, weights, failed, (self._mean, self._variance), self._exponent)
        first = self._first or (self._mean, self._variance)
        fixed = self._formed(points, excess, weights, failed, first, self._settings.exponent)
        if self._hard.any() and self._settings.rate > 0:
            self._exponent = adapted_exponent(
                self._exponent, float(met.mean()), wanted=self._settings.met, rate=self._settings.rate
            )
        return rewards, fixed

    def again(
        self,
        points: NDArray[np.float64],
        excess: NDArray[np.float64],
        weights: NDArray[np.float64],
        failed: NDArray[np.bool_],
    ) -> NDArray[np.float64]:
        """Return the rewards of episodes that were taken in before, by the statistics of now, (n,)."""
        moments = (self._mean, self._variance)
        return self._formed(points, excess, weights, failed, moments, self._exponent)

    @property
    def exponent(self) -> float:
        """The hard budgets' current exponent."""
        return self._exponent

    def state_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        first = None if self._first is None else [part.tolist() for part in self._first]
        return {
            "exponent": self._exponent,
            "mean": self._mean.tolist(),
            "variance": self._variance.tolist(),
            "first": first,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore :meth:`state_dict`."""
        self._exponent = float(state["exponent"])
        self._mean = np.array(state["mean"], dtype=np.float64)
        self._variance = np.array(state["variance"], dtype=np.float64)
        first = state["first"]
        self._first = None if first is None else (np.array(first[0]), np.array(first[1]))

    def _take(self, points: NDArray[np.float64]) -> None:
        if len(points) == 0:
            return
        if self._first is None:
            self._mean, self._variance = points.mean(axis=0), points.var(axis=0)
            self._first = (self._mean, self._variance)
            return
        kept = self._settings.memory ** len(points)
        self._mean, self._variance = blended_moments(self._mean, self._variance, points, kept)

    def _formed(
        self,
        points: NDArray[np.float64],
        excess: NDArray[np.float64],
        weights: NDArray[np.float64],
        failed: NDArray[np.bool_],
        moments: tuple[NDArray[np.float64], NDArray[np.float64]],
        exponent: float,
    ) -> NDArray[np.float64]:
        scores = np.where(failed[:, None], _FAILED, standard_scores(points, *moments))
        exponents = np.where(self._hard, exponent, self._settings.exponent)
        return soft_reward(scores, weights, excess, exponents)
