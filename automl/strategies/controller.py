"""The controller: a recurrent policy decides dimension after dimension and learns from what was measured."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING
from typing import Any
from typing import ClassVar

import numpy as np

from automl.core.errors import StrategyError
from automl.core.rng import child_rng
from automl.strategies.base import StrategyInfo
from automl.strategies.episodes import EpisodeQueue
from automl.strategies.episodes import Episodes
from automl.strategies.episodes import Outcome
from automl.strategies.episodes import Outcomes
from automl.strategies.operators.dedup import code_keys
from automl.strategies.policy import Policy
from automl.strategies.policy import PolicyShape
from automl.strategies.policy_gradient import GradientSettings
from automl.strategies.policy_gradient import PolicyGradient
from automl.strategies.proposals import Proposals
from automl.strategies.rewards import RewardSettings
from automl.strategies.rewards import RunningReward
from automl.strategies.rewards import log_excess
from automl.strategies.saved_state import check_state
from automl.strategies.saved_state import restore_rng
from automl.strategies.saved_state import rng_state

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.core.candidate import Candidate
    from automl.core.curve import LearningCurve
    from automl.core.trial import Trial
    from automl.strategies.base import Problem

    Floats = NDArray[np.float32]

__all__ = ["Controller", "ControllerSettings", "Reinforce"]

#: Rounds of sampling from the policy itself, then ever hotter ones, before new candidates are drawn blindly.
_PLAIN_ROUNDS, _HOT_ROUNDS, _HEAT = 4, 8, 1.3


@dataclass(frozen=True)
class ControllerSettings:
    """How the controller works.

    Args:
        gradient: how the policy is trained.
        reward: how rewards are formed.
        hidden: width of the recurrent state.
        embedding: width of the embeddings.
        focus: share of the episodes that look at the first objective alone when there are hard budgets, since
            the budget then names one end of the front; the others draw their weights of the objectives.
        trust: how much of the starting policy follows the problem's seeds, when there are some.

    Raises:
        StrategyError: a number is out of range.
    """

    gradient: GradientSettings = field(default_factory=GradientSettings)
    reward: RewardSettings = field(default_factory=RewardSettings)
    hidden: int = 32
    embedding: int = 16
    focus: float = 0.75
    trust: float = 0.9

    def __post_init__(self) -> None:
        if self.hidden < 1 or self.embedding < 1:
            raise StrategyError(
                f"hidden and embedding must be at least 1; got {self.hidden} and {self.embedding}"
            )
        if not (0 <= self.focus <= 1 and 0 <= self.trust < 1):
            raise StrategyError(
                f"focus must be in [0, 1] and trust in [0, 1); got {self.focus} and {self.trust}"
            )


class Controller:
    """An autoregressive policy trained by PPO on the constraint-aware reward.

    The problem's seeds come first. An episode carries weights of the objectives, which the policy reads, so
    one policy covers the front. What the policy repeats is answered from memory, as in
    every search with a cache: it trains the policy and is not proposed again; when sampling keeps repeating,
    hotter samples and at last random ones fill the generation, and the entropy bonus grows until it stops.

    Args:
        problem: objectives and budgets decide; prices are not looked at.
        settings: see :class:`ControllerSettings`; its defaults when None.

    Reference:
        Zoph, Le, "Neural Architecture Search with Reinforcement Learning", arXiv 1611.01578; PPO, arXiv
        1707.06347; reward after MnasNet, arXiv 1807.11626. Reconstruction: standard scores, the exponent that
        moves with the share of feasible episodes, weights of the objectives as context, biases of dimensions.
    """

    info: ClassVar[StrategyInfo] = StrategyInfo(
        name="controller",
        summary="a recurrent policy decides option after option, trained by PPO on a budget-aware reward",
        paper="Proximal Policy Optimization Algorithms, arXiv 1707.06347; controller as in arXiv 1611.01578",
        finite=True,
    )

    def __init__(self, problem: Problem, *, settings: ControllerSettings | None = None) -> None:
        self._problem = problem
        self._space = problem.space
        self._settings = settings or self.standard_settings()
        self._width = len(problem.objectives)
        self._rng = child_rng(problem.seed, self.info.name)
        self._proposals = Proposals(problem)
        shape = PolicyShape(self._settings.hidden, self._settings.embedding, self._width)
        self._policy = Policy(self._space, shape, child_rng(problem.seed, self.info.name, "policy"))
        if problem.seeds:
            self._policy.lean_towards(self._space.encode(problem.seeds), self._settings.trust)
        self._gradient = PolicyGradient(self._policy, self._settings.gradient)
        self._reward = RunningReward(self._width, problem.budgets, self._settings.reward)
        self._queue = EpisodeQueue(len(self._space), self._width)
        self._outcomes = Outcomes()

    @classmethod
    def standard_settings(cls) -> ControllerSettings:
        """Return the settings of choice for this class."""
        return ControllerSettings()

    def ask(self, count: int) -> list[Candidate]:
        """Return up to ``count`` new candidates; fewer only when the space is exhausted."""
        codes = self._proposals.seeds(count)
        for step in range(_PLAIN_ROUNDS + _HOT_ROUNDS):
            if len(codes) >= count:
                break
            heat = _HEAT ** max(step + 1 - _PLAIN_ROUNDS, 0)
            codes = np.concatenate([codes, self._played(count - len(codes), heat)])
        if len(codes) < count:
            codes = np.concatenate([codes, self._proposals.random(self._rng, count - len(codes))])
        return self._proposals.candidates(codes)

    @property
    def remarks(self) -> tuple[str, ...]:
        """How the policy's entropy and reward moved."""
        return self._gradient.remarks

    @property
    def curves(self) -> tuple[LearningCurve, ...]:
        """The policy's entropy and reward, update after update."""
        return self._gradient.curves(self.info.name)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Remember the outcomes and train on every full batch of episodes whose outcome is known."""
        told = self._proposals.read(trials)
        informative = [t for t in trials if self._proposals.informs(t)]
        for key, point, trial in zip(code_keys(told.codes), told.points, informative, strict=True):
            if trial.measurement is not None:
                excess = log_excess(self._problem.budgets, trial.measurement)
                self._outcomes.add(key, Outcome((*point.tolist(), *excess)))
        failed = [t.candidate for t in trials if t.failure is not None]
        for key in code_keys(self._space.encode(failed)):
            if key not in self._outcomes:
                self._outcomes.add(key, Outcome())
        for episodes in self._queue.batches(self._outcomes, self._settings.gradient.batch):
            self._train(episodes)

    def state_dict(self) -> dict[str, Any]:
        """Return plain JSON; ``gradient.curve`` holds the training curve."""
        return {
            "strategy": self.info.name,
            "space": self._space.fingerprint,
            "rng": rng_state(self._rng),
            "seen": self._proposals.keys,
            "gradient": self._gradient.state_dict(),
            "reward": self._reward.state_dict(),
            "waiting": self._queue.state,
            "outcomes": self._outcomes.state,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore :meth:`state_dict`.

        Raises:
            StrategyError: the state belongs to another strategy, space or policy shape.
        """
        check_state(state, self.info.name, self._space.fingerprint)
        restore_rng(self._rng, state["rng"])
        self._proposals.restore(state["seen"])
        self._gradient.load_state_dict(state["gradient"])
        self._reward.load_state_dict(state["reward"])
        self._queue.restore(state["waiting"])
        self._outcomes.restore(state["outcomes"])

    def _played(self, count: int, heat: float) -> NDArray[np.int64]:
        """Play ``count`` episodes and return the new codes they led to; hot ones do not train."""
        contexts = self._contexts(count)
        uniforms = self._rng.random((count, len(self._space)))
        codes, logs = self._policy.sample(uniforms, contexts, temperature=heat)
        repaired = self._space.repair(codes)
        fresh = self._proposals.fresh(repaired, count)
        if heat == 1.0:
            keys, unseen = code_keys(repaired), set(code_keys(fresh))
            repeated = []
            for key in keys:
                repeated.append(key not in unseen)
                unseen.discard(key)
            decided = np.ones(codes.shape, dtype=bool)
            self._queue.add(
                Episodes(tuple(keys), codes, contexts, logs, decided, np.array(repeated, dtype=bool))
            )
        return fresh

    def _contexts(self, count: int) -> Floats:
        """Return weights of the objectives, (count, n_objectives): drawn evenly, or the first alone."""
        weights = self._rng.dirichlet(np.ones(self._width), size=count)
        focused = self._rng.random(count) < self._settings.focus
        if any(b.hard for b in self._problem.budgets):
            weights[focused] = np.eye(self._width)[0]
        return weights.astype(np.float32)

    def _train(self, episodes: Episodes) -> None:
        outcomes = [self._outcomes[key] for key in episodes.keys]
        n_values = self._width + len(self._problem.budgets)
        values = np.array([o.values or (0.0,) * n_values for o in outcomes]).reshape(-1, n_values)
        failed = np.array([o.failed for o in outcomes])
        rewards, shown = self._reward.batch(
            values[:, : self._width], values[:, self._width :], episodes.contexts.astype(np.float64), failed
        )
        self._gradient.learn(episodes, rewards, shown)


class Reinforce(Controller):
    """The controller trained by REINFORCE: one pass a batch, no clipping; otherwise see :class:`Controller`.

    Reference:
        Williams, "Simple statistical gradient-following algorithms for connectionist reinforcement learning",
        1992, with a moving baseline and an entropy bonus.
    """

    info: ClassVar[StrategyInfo] = StrategyInfo(
        name="reinforce",
        summary="the controller's policy trained by REINFORCE with a moving baseline",
        paper="Neural Architecture Search with Reinforcement Learning, arXiv 1611.01578",
        finite=True,
    )

    @classmethod
    def standard_settings(cls) -> ControllerSettings:
        """Return the settings of choice for this class."""
        return ControllerSettings(GradientSettings(method="reinforce", bias_rate=0.1))
