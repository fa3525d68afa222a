"""The layer-by-layer agent: an actor sets each dimension's level, a wall of prices keeps the budget."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from typing import TYPE_CHECKING
from typing import Any
from typing import ClassVar

import numpy as np
from scipy.special import ndtr
from scipy.special import ndtri

from automl.core.errors import StrategyError
from automl.core.objective import Objective
from automl.core.rng import child_rng
from automl.strategies.actor_critic import ActorCritic
from automl.strategies.base import StrategyInfo
from automl.strategies.curve_log import CurveLog
from automl.strategies.exact import Exact
from automl.strategies.layer_states import layer_states
from automl.strategies.operators.sampling import enumerate_codes
from automl.strategies.price_wall import PriceWall
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

__all__ = ["Ddpg", "DdpgSettings", "truncated_normal"]

#: Rounds of playing with more and more noise before new candidates are drawn blindly, and its factor.
_ROUNDS, _HEAT = 10, 1.5
#: Spaces up to this many assignments are listed when hardly any candidate is left.
_LISTED_DIGITS = 4.0


@dataclass(frozen=True)
class DdpgSettings:
    """How the agent works.

    Args:
        hidden: width of the two hidden layers of actor and critic.
        rates: Adam's steps of actor and critic.
        follow: share of the way the slow copies move after a step.
        discount: weight of the next step's value in the critic's target.
        warm_up: episodes with random actions at the start.
        noise: standard deviation of the actions after them.
        decay: factor of the noise an episode.
        least: smallest noise.
        replay: episodes remembered; the oldest leave.
        batch: steps a training step looks at.
        updates: training steps for every episode that comes back.
        reward: how quality and budgets are scored.

    Raises:
        StrategyError: a number is out of range.
    """

    hidden: int = 64
    rates: tuple[float, float] = (1e-3, 3e-3)
    follow: float = 0.01
    discount: float = 0.0
    warm_up: int = 20
    noise: float = 0.5
    decay: float = 0.99
    least: float = 0.02
    replay: int = 128
    batch: int = 64
    updates: int = 8
    reward: RewardSettings = field(default_factory=RewardSettings)

    def __post_init__(self) -> None:
        if min(self.hidden, self.replay, self.batch) < 1 or min(self.warm_up, self.updates) < 0:
            raise StrategyError(
                "hidden, replay and batch must be at least 1 and warm_up and updates at least 0; got "
                f"{self.hidden}, {self.replay}, {self.batch}, {self.warm_up}, {self.updates}"
            )
        if not (0 < self.decay <= 1 and self.noise > 0 and 0 < self.least <= self.noise):
            raise StrategyError(
                "decay must be in (0, 1] and 0 < least <= noise; got "
                f"{self.decay}, {self.least}, {self.noise}"
            )


def truncated_normal(mean: Floats, deviation: Floats, uniforms: NDArray[np.float64]) -> Floats:
    """Return numbers in [0, 1] from normal distributions cut off there, by inversion; shape of ``mean``.

    Args:
        mean: in [0, 1].
        deviation: above 0.
        uniforms: in [0, 1), what decides.
    """
    low, high = ndtr((0.0 - mean) / deviation), ndtr((1.0 - mean) / deviation)
    drawn = mean + deviation * ndtri(low + uniforms * (high - low))
    return np.asarray(np.clip(drawn, 0.0, 1.0), dtype=np.float32)


class Ddpg:
    """One episode walks the dimensions; the actor's action in [0, 1] is the place of the level among them.

    The state holds what the problem offers of a dimension (see ``layer_states``) and the previous action.
    Every step of an episode is rewarded with what the candidate measured in the end. Where the hard budgets'
    metrics are priced a wall lowers decisions until the price is within them, so no candidate beyond is
    proposed as long as the prices know one within; otherwise the reward is aware of the budgets. Any trial
    teaches, whoever proposed it.

    Args:
        problem: the first objective decides, all of them evenly when there is no hard budget; prices of the
            objectives and budgets feed the states and the wall.
        settings: see :class:`DdpgSettings`; its defaults when None.

    Reference:
        Wang et al., "HAQ: Hardware-Aware Automated Quantization with Mixed Precision", arXiv 1811.08886.
        Deviations: the action that is remembered is the middle of the level that was evaluated; rewards are
        budget-aware standard scores, centred by the mean of the replay; noise has a floor; smaller networks
        and fewer, faster training steps.
    """

    info: ClassVar[StrategyInfo] = StrategyInfo(
        name="ddpg",
        summary="HAQ's layer-by-layer agent: an actor sets levels, a wall of prices keeps the budget",
        paper="HAQ: Hardware-Aware Automated Quantization with Mixed Precision, arXiv 1811.08886",
        finite=True,
        multi_objective=False,
        uses_tables=True,
    )

    def __init__(self, problem: Problem, *, settings: DdpgSettings | None = None) -> None:
        self._problem = problem
        self._space = problem.space
        self._settings = settings or DdpgSettings()
        self._width = len(problem.objectives)
        self._rng = child_rng(problem.seed, self.info.name)
        self._wall = _wall(problem)
        self._proposals = Proposals(_within_wall(problem, self._wall))
        self._free = np.flatnonzero(self._space.cardinalities > 1)
        metrics = [o.metric for o in problem.objectives] + [b.metric for b in problem.budgets]
        self._static = layer_states(self._space, problem.tables, list(dict.fromkeys(metrics)))
        s = self._settings
        self._agent = ActorCritic(
            self._static.shape[1] + 1,
            s.hidden,
            child_rng(problem.seed, self.info.name, "networks"),
            rates=s.rates,
            follow=s.follow,
            discount=s.discount,
        )
        self._reward = RunningReward(self._width, problem.budgets, s.reward)
        hard = any(b.hard for b in problem.budgets)
        self._weights = np.eye(self._width)[0] if hard else np.full(self._width, 1.0 / self._width)
        self._episodes = 0
        self._codes = np.empty((0, len(self._space)), dtype=np.int64)
        self._values = np.empty((0, self._width + len(problem.budgets)))
        self._failed = np.empty(0, dtype=bool)
        self._log = CurveLog()

    def ask(self, count: int) -> list[Candidate]:
        """Return up to ``count`` new candidates; fewer only when hardly any within the budgets are left."""
        codes = self._proposals.seeds(count)
        for step in range(_ROUNDS if self._free.size else 0):
            if len(codes) >= count:
                break
            played = self._played(count - len(codes), _HEAT**step)
            codes = np.concatenate([codes, self._proposals.fresh(played, count - len(codes))])
        if len(codes) < count:
            codes = np.concatenate([codes, self._blind(count - len(codes))])
        self._episodes += len(codes)
        return self._proposals.candidates(codes)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Remember what came back and train on it."""
        told = self._proposals.read(trials)
        informative = [t.measurement for t in trials if self._proposals.informs(t)]
        excess = [log_excess(self._problem.budgets, m) for m in informative if m is not None]
        values = np.column_stack(
            [told.points, np.array(excess).reshape(len(told), len(self._problem.budgets))]
        )
        failed = self._space.encode([t.candidate for t in trials if t.failure is not None])
        codes = np.concatenate([told.codes, failed])
        if len(codes) == 0:
            return
        values = np.concatenate([values, np.zeros((len(failed), values.shape[1]))])
        lost = np.arange(len(codes)) >= len(told)
        n = self._settings.replay
        self._codes = np.concatenate([self._codes, codes])[-n:]
        self._values = np.concatenate([self._values, values])[-n:]
        self._failed = np.concatenate([self._failed, lost])[-n:]
        shown = self._reward.batch(*self._rated(values), lost)[1]
        if self._episodes:
            noise = float(self._noise(np.array([self._episodes]))[0])
            self._log.note(self._episodes, noise, float(shown.mean()))
        if self._free.size and self._episodes >= self._settings.warm_up:
            self._train(self._settings.updates * len(codes))

    @property
    def curves(self) -> tuple[LearningCurve, ...]:
        """The noise of the actions and the reward of what came back, generation after generation."""
        return self._log.curves(
            f"agent of {self.info.name}",
            f"Means over the candidates of a generation. The first {self._settings.warm_up} episodes act by "
            "chance alone. The reward counts standard deviations of the objectives in the first generation, "
            "less what exceeds a budget; its scale stays fixed.",
            "episodes of the agent",
            (
                ("noise", "noise of an action, share of its range"),
                ("reward", "reward, standard deviations of the first generation"),
            ),
        )

    def state_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "strategy": self.info.name,
            "space": self._space.fingerprint,
            "rng": rng_state(self._rng),
            "seen": self._proposals.keys,
            "agent": self._agent.state_dict(),
            "reward": self._reward.state_dict(),
            "episodes": self._episodes,
            "codes": self._codes.tolist(),
            "values": self._values.tolist(),
            "failed": self._failed.tolist(),
            "curve": self._log.state,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore :meth:`state_dict`.

        Raises:
            StrategyError: the state belongs to another strategy, space or network width.
        """
        check_state(state, self.info.name, self._space.fingerprint)
        restore_rng(self._rng, state["rng"])
        self._proposals.restore(state["seen"])
        self._agent.load_state_dict(state["agent"])
        self._reward.load_state_dict(state["reward"])
        self._episodes = int(state["episodes"])
        n = len(state["codes"])
        self._codes = np.array(state["codes"], dtype=np.int64).reshape(n, len(self._space))
        self._values = np.array(state["values"], dtype=np.float64).reshape(n, self._values.shape[1])
        self._failed = np.array(state["failed"], dtype=bool)
        self._log.restore(state["curve"])

    def _rated(
        self, values: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return (points, excess, weights) of rows of values."""
        weights = np.broadcast_to(self._weights, (len(values), self._width))
        return values[:, : self._width], values[:, self._width :], weights

    def _played(self, count: int, heat: float) -> NDArray[np.int64]:
        """Return the codes of ``count`` episodes, walled; known ones may be among them."""
        number = self._episodes + np.arange(count)
        warm = number < self._settings.warm_up
        noise = np.minimum(self._noise(number) * heat, 1.0).astype(np.float32)
        uniforms = self._rng.random((count, self._free.size))
        codes = np.repeat(self._space.default_code[None], count, axis=0)
        before = np.zeros(count, dtype=np.float32)
        for step, t in enumerate(self._free.tolist()):
            states = np.column_stack([np.repeat(self._static[t][None], count, axis=0), before])
            action = truncated_normal(self._agent.act(states), noise, uniforms[:, step])
            action = np.where(warm, uniforms[:, step].astype(np.float32), action)
            levels = int(self._space.cardinalities[t])
            codes[:, t] = np.minimum((action * levels).astype(np.int64), levels - 1)
            before = self._actions(codes[:, t], t)
        return self._within(codes)

    def _noise(self, number: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the standard deviation of the actions of the episodes ``number``, (n,)."""
        settings = self._settings
        decayed = settings.noise * settings.decay ** np.maximum(number - settings.warm_up, 0)
        least: NDArray[np.float64] = np.maximum(decayed, settings.least)
        return least

    def _actions(self, levels: NDArray[np.int64], dimensions: NDArray[np.int64] | int) -> Floats:
        """Return the actions in the middle of ``levels``."""
        return ((levels + 0.5) / self._space.cardinalities[dimensions]).astype(np.float32)

    def _within(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        return self._space.repair(codes) if self._wall is None else self._wall.lowered(codes)

    def _blind(self, count: int) -> NDArray[np.int64]:
        """Return new random codes within the wall; in a small space every one that is left."""
        if self._wall is None:
            return self._proposals.random(self._rng, count)
        found = np.empty((0, len(self._space)), dtype=np.int64)
        for _ in range(_ROUNDS):
            if len(found) >= count:
                return found
            drawn = self._wall.lowered(self._space.sample(self._rng, count))
            found = np.concatenate([found, self._proposals.fresh(drawn, count - len(found))])
        if len(found) < count and self._space.log10_size <= _LISTED_DIGITS:
            every = enumerate_codes(self._space)
            left = every[self._wall.excess(every) == 0]
            found = np.concatenate([found, self._proposals.fresh(left, count - len(found))])
        return found

    def _train(self, updates: int) -> None:
        points, excess, weights = self._rated(self._values)
        rewards = self._reward.again(points, excess, weights, self._failed)
        centred = (rewards - rewards.mean()).astype(np.float32)
        free, last = self._free, self._free.size - 1
        actions = self._actions(self._codes[:, free], free)
        before = np.column_stack([np.zeros(len(actions), dtype=np.float32), actions[:, :-1]])
        for _ in range(updates):
            episode = self._rng.integers(0, len(actions), size=self._settings.batch)
            step = self._rng.integers(0, free.size, size=self._settings.batch)
            following = np.minimum(step + 1, last)
            self._agent.learn(
                np.column_stack([self._static[free[step]], before[episode, step]]),
                actions[episode, step],
                centred[episode],
                np.column_stack([self._static[free[following]], actions[episode, step]]),
                step == last,
            )


def _wall(problem: Problem) -> PriceWall | None:
    """Return the wall of the hard budgets' prices; None without prices or when nothing is within them.

    Raises:
        StrategyError: a budget is not resolved.
    """
    tables = problem.tables
    hard = [b for b in problem.budgets if b.hard and tables is not None and b.metric in tables.unary]
    if tables is None or not hard:
        return None
    limits: dict[str, float] = {}
    for budget in hard:
        if budget.relative:
            raise StrategyError(
                f"budget {budget.text} is relative; resolve it against the untouched model first"
            )
        limit = -budget.limit if budget.at_least else budget.limit
        limits[budget.metric] = min(limit, limits.get(budget.metric, limit))
    anchor = _anchor(replace(problem, budgets=tuple(hard), seeds=()), tuple(limits))
    wall = PriceWall(problem.space, tables, limits, anchor)
    return None if anchor is None or wall.excess(anchor[None])[0] > 0 else wall


def _within_wall(problem: Problem, wall: PriceWall | None) -> Problem:
    """Return the problem without the seeds whose prices are beyond the wall."""
    if wall is None or not problem.seeds:
        return problem
    codes = problem.space.repair(problem.space.encode(problem.seeds))
    kept = wall.excess(codes) == 0
    return replace(problem, seeds=tuple(s for s, keep in zip(problem.seeds, kept, strict=True) if keep))


def _anchor(problem: Problem, metrics: Sequence[str]) -> NDArray[np.int64] | None:
    """Return the code with the lowest price of the first of ``metrics`` within the others' limits."""
    tables, space = problem.tables, problem.space
    if (
        tables is not None
        and len(metrics) == 1
        and not tables.pairwise.get(metrics[0])
        and not space.conditions
    ):
        return np.array([values.argmin() for values in tables.unary[metrics[0]]], dtype=np.int64)
    found = Exact(replace(problem, objectives=(Objective(metrics[0]),))).ask(1)
    return space.encode(found)[0] if found else None
