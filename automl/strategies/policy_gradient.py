"""REINFORCE and PPO for the autoregressive policy, with a moving baseline and an entropy bonus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any
from typing import Literal

import numpy as np

from automl.core.errors import StrategyError
from automl.strategies.adam import Adam
from automl.strategies.array_state import decode_arrays
from automl.strategies.array_state import encode_arrays
from automl.strategies.curve_log import CurveLog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from automl.core.curve import LearningCurve
    from automl.strategies.episodes import Episodes
    from automl.strategies.policy import Policy

    Floats = NDArray[np.float32]

__all__ = ["GradientSettings", "PolicyGradient", "advantages", "surrogate_slope"]

#: Means of the curve that the remark gives.
_PARTS = 5


@dataclass(frozen=True)
class GradientSettings:
    """How the policy is trained.

    Args:
        method: ``ppo`` or ``reinforce``.
        rate: Adam's step of the network.
        bias_rate: Adam's step of the biases of the dimensions.
        entropy: smallest weight of the entropy bonus.
        repeats: share of repeated proposals in a batch at which the entropy's weight rests; above it the
            weight rises, below it falls back towards ``entropy``, so the policy never collapses to one code.
        clip: PPO: largest change of a decision's probability that is still rewarded.
        epochs: PPO: passes over a batch.
        batch: episodes a batch.
        baseline: weight the moving baseline keeps a batch.

    Raises:
        StrategyError: a number is out of range.
    """

    method: Literal["ppo", "reinforce"] = "ppo"
    rate: float = 5e-3
    bias_rate: float = 0.05
    entropy: float = 1e-2
    repeats: float = 0.25
    clip: float = 0.2
    epochs: int = 4
    batch: int = 8
    baseline: float = 0.9

    def __post_init__(self) -> None:
        if self.method not in {"ppo", "reinforce"}:
            raise StrategyError(f"method '{self.method}' is unknown; use ppo or reinforce")
        if self.batch < 2 or self.epochs < 1:
            raise StrategyError(
                f"batch must be at least 2 and epochs at least 1; got {self.batch} and {self.epochs}"
            )
        if not (0 < self.clip < 1 and 0 <= self.baseline < 1 and 0 <= self.repeats <= 1):
            raise StrategyError(
                f"clip, baseline and repeats are fractions; got {self.clip}, {self.baseline}, {self.repeats}"
            )


def advantages(rewards: NDArray[np.float64], baseline: float) -> NDArray[np.float64]:
    """Return rewards less the baseline, scaled to a standard deviation of one in the batch, (n,).

    All zero when the rewards are equal to the baseline and to each other: nothing can be learned then.
    """
    less = rewards - baseline
    spread = float(less.std())
    return (less - less.mean()) / spread if spread > 1e-9 else np.zeros(len(rewards))


def surrogate_slope(log_ratio: Floats, advantage: Floats, clip: float) -> Floats:
    """Return the derivative of PPO's clipped objective by the log-probabilities; shape of ``log_ratio``.

    Args:
        log_ratio: log of new over old probability of each decision.
        advantage: broadcasts to it.
        clip: see :class:`GradientSettings`.

    Reference:
        Schulman et al., "Proximal Policy Optimization Algorithms", arXiv 1707.06347, equation 7, a decision
        at a time.
    """
    ratio = np.exp(np.minimum(log_ratio, 20.0))
    live = np.where(advantage > 0, ratio < 1 + clip, ratio > 1 - clip)
    return np.asarray(ratio * advantage * live, dtype=log_ratio.dtype)


class PolicyGradient:
    """Trains a policy on batches of episodes.

    Args:
        policy: the policy; its parameters are changed in place.
        settings: see :class:`GradientSettings`.

    Reference:
        Williams, "Simple statistical gradient-following algorithms for connectionist reinforcement learning",
        1992; PPO see :func:`surrogate_slope`. The entropy's moving weight is ours.
    """

    def __init__(self, policy: Policy, settings: GradientSettings) -> None:
        self._policy = policy
        self._settings = settings
        rates = dict.fromkeys(policy.parameters, settings.rate) | {"bias": settings.bias_rate}
        self._adam = Adam(policy.parameters, rates)
        self._entropy = settings.entropy
        self._baseline: float | None = None
        self._log = CurveLog()

    @property
    def curve(self) -> list[list[float]]:
        """Rows of (update, mean entropy of a decision in nats, mean reward on the first batch's scale)."""
        return self._log.rows

    def curves(self, owner: str) -> tuple[LearningCurve, ...]:
        """Return the same for the report, under the name of the strategy; nothing before two updates."""
        return self._log.curves(
            f"policy of {owner}",
            "Means over the episodes of one update, those that the policy played again included. The reward "
            "counts standard deviations of the objectives in the first batch, less what exceeds a budget; "
            "its scale stays fixed.",
            "updates of the policy",
            (
                ("entropy", "entropy of a decision, nats"),
                ("reward", "reward, standard deviations of the first batch"),
            ),
        )

    @property
    def remarks(self) -> tuple[str, ...]:
        """How entropy and reward moved: means of equal parts of the training; none before ten updates."""
        if self._log.noted < 2 * _PARTS:
            return ()
        means = [np.mean(part, axis=0) for part in np.array_split(np.array(self.curve), _PARTS)]
        entropy, reward = (", ".join(f"{row[k]:.2f}" for row in means) for k in (1, 2))
        return (
            f"policy after {self._log.noted} updates, means of {_PARTS} equal parts of them: "
            f"entropy of a decision {entropy} nats, reward {reward}",
        )

    def learn(
        self, episodes: Episodes, rewards: NDArray[np.float64], shown: NDArray[np.float64] | None = None
    ) -> None:
        """Train on one batch.

        Args:
            episodes: at least one.
            rewards: (n,), larger is better.
            shown: (n,), rewards for the curve when their scale differs; None for ``rewards``.
        """
        settings, n = self._settings, len(rewards)
        if self._baseline is None:
            self._baseline = float(rewards.mean())
        advantage = advantages(rewards, self._baseline).astype(np.float32)[None, :]
        self._baseline += (1 - settings.baseline) * (float(rewards.mean()) - self._baseline)
        excess = float(episodes.repeated.mean()) - settings.repeats
        self._entropy = float(np.clip(self._entropy * np.exp(0.3 * excess), settings.entropy, 1.0))
        decided = episodes.decided.T.astype(np.float32)
        entropy = 0.0
        for epoch in range(settings.epochs if settings.method == "ppo" else 1):
            forward = self._policy.forward(episodes.codes, episodes.contexts)
            if settings.method == "ppo":
                slope = surrogate_slope(forward.chosen - episodes.logs.T, advantage, settings.clip)
            else:
                slope = np.broadcast_to(advantage, forward.chosen.shape)
            if epoch == 0:
                entropy = float((forward.entropy * decided).sum() / max(float(decided.sum()), 1.0))
            scale = np.float32(-1.0 / n)
            bonus = np.float32(self._entropy) * decided
            self._adam.descend(self._policy.backward(forward, scale * slope * decided, scale * bonus))
        self._log.note(self._log.noted, entropy, float((rewards if shown is None else shown).mean()))

    def state_dict(self) -> dict[str, Any]:
        """Return plain JSON, the policy's parameters included."""
        return {
            "parameters": encode_arrays(self._policy.parameters),
            "adam": self._adam.state_dict(),
            "entropy": self._entropy,
            "baseline": self._baseline,
            "curve": self._log.state,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore :meth:`state_dict`.

        Raises:
            StrategyError: the state is of a policy of another shape.
        """
        decode_arrays(state["parameters"], self._policy.parameters)
        self._adam.load_state_dict(state["adam"])
        self._entropy = float(state["entropy"])
        self._baseline = None if state["baseline"] is None else float(state["baseline"])
        self._log.restore(state["curve"])
