"""Actor and critic of a deterministic policy gradient: a state in, one action in [0, 1] out."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from automl.strategies.adam import Adam
from automl.strategies.array_state import decode_arrays
from automl.strategies.array_state import encode_arrays
from automl.strategies.gru_math import sigmoid
from automl.strategies.perceptron_math import drawn_layers
from automl.strategies.perceptron_math import perceptron
from automl.strategies.perceptron_math import perceptron_gradient

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

__all__ = ["ActorCritic"]


class ActorCritic:
    """Two perceptrons with slowly following copies of both.

    Args:
        width: numbers in a state.
        hidden: width of the two hidden layers of each.
        rates: Adam's steps of actor and critic.
        follow: share of the way the copies move after a step.
        discount: weight of the next step's value; 0 takes the reward alone.
        rng: draws the starting weights.

    Reference:
        Lillicrap et al., "Continuous control with deep reinforcement learning", arXiv 1509.02971.
    """

    def __init__(
        self,
        width: int,
        hidden: int,
        rng: np.random.Generator,
        *,
        rates: tuple[float, float],
        follow: float,
        discount: float,
    ) -> None:
        self._actor = drawn_layers((width, hidden, hidden, 1), rng)
        self._critic = drawn_layers((width + 1, hidden, hidden, 1), rng)
        self._slow_actor = {k: v.copy() for k, v in self._actor.items()}
        self._slow_critic = {k: v.copy() for k, v in self._critic.items()}
        self._actor_adam = Adam(self._actor, rates[0])
        self._critic_adam = Adam(self._critic, rates[1])
        self._follow, self._discount = np.float32(follow), discount

    def act(self, states: Floats) -> Floats:
        """Return the actor's actions for states (n, width); shape (n,), in [0, 1]."""
        return sigmoid(perceptron(self._actor, states)[-1][:, 0])

    def value(self, states: Floats, actions: Floats) -> Floats:
        """Return the critic's values, (n,)."""
        return perceptron(self._critic, np.column_stack([states, actions]))[-1][:, 0]

    def learn(
        self, states: Floats, actions: Floats, rewards: Floats, following: Floats, last: NDArray[np.bool_]
    ) -> None:
        """Take one step of the critic towards its targets and one of the actor up the critic.

        Args:
            states: (n, width).
            actions: (n,), what was done.
            rewards: (n,).
            following: (n, width), states after the actions; not looked at where ``last``.
            last: (n,), whether the episode ended.
        """
        targets = rewards
        if self._discount > 0:
            done = sigmoid(perceptron(self._slow_actor, following)[-1][:, 0])
            ahead = perceptron(self._slow_critic, np.column_stack([following, done]))[-1][:, 0]
            targets = rewards + np.where(last, 0, np.float32(self._discount) * ahead)
        pass_ = perceptron(self._critic, np.column_stack([states, actions]))
        error = (pass_[-1] - targets[:, None]) * np.float32(2 / len(states))
        self._critic_adam.descend(perceptron_gradient(self._critic, pass_, error)[0])
        inner = perceptron(self._actor, states)
        chosen = sigmoid(inner[-1])
        pass_ = perceptron(self._critic, np.concatenate([states, chosen], axis=1))
        uphill = np.full_like(chosen, -1 / len(states))
        slope = perceptron_gradient(self._critic, pass_, uphill)[1][:, -1:]
        into = slope * chosen * (1 - chosen)
        self._actor_adam.descend(perceptron_gradient(self._actor, inner, into)[0])
        for slow, fast in ((self._slow_actor, self._actor), (self._slow_critic, self._critic)):
            for name, value in slow.items():
                value += self._follow * (fast[name] - value)

    def state_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "actor": encode_arrays(self._actor),
            "critic": encode_arrays(self._critic),
            "slow_actor": encode_arrays(self._slow_actor),
            "slow_critic": encode_arrays(self._slow_critic),
            "actor_adam": self._actor_adam.state_dict(),
            "critic_adam": self._critic_adam.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore :meth:`state_dict`.

        Raises:
            StrategyError: the state is of other widths.
        """
        decode_arrays(state["actor"], self._actor)
        decode_arrays(state["critic"], self._critic)
        decode_arrays(state["slow_actor"], self._slow_actor)
        decode_arrays(state["slow_critic"], self._slow_critic)
        self._actor_adam.load_state_dict(state["actor_adam"])
        self._critic_adam.load_state_dict(state["critic_adam"])
