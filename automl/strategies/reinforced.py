"""Reinforced evolution: NSGA-II whose mutation is shared between chance, a trained policy and prices."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
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
from automl.strategies.evolutionary import Evolutionary
from automl.strategies.evolutionary import EvolutionSettings
from automl.strategies.evolutionary import Operators
from automl.strategies.layer_states import mean_curves
from automl.strategies.operators.dedup import SeenCodes
from automl.strategies.operators.dedup import code_keys
from automl.strategies.operators.roulette import RouletteMutation
from automl.strategies.operators.roulette import inverse_price_shares
from automl.strategies.policy import Policy
from automl.strategies.policy import PolicyShape
from automl.strategies.policy_gradient import GradientSettings
from automl.strategies.policy_gradient import PolicyGradient
from automl.strategies.policy_mutation import MixedMutation
from automl.strategies.policy_mutation import PolicyMutation
from automl.strategies.proposals import Proposals
from automl.strategies.reward_math import joined_front
from automl.strategies.reward_math import volume_gains
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

__all__ = ["Reinforced", "ReinforcedSettings"]

#: The largest of this many gains of volume counts as a whole one.
_GAINS = 64


@dataclass(frozen=True)
class ReinforcedSettings:
    """How evolution and policy share the work.

    Args:
        mix: shares of the mutations that are random, the policy's and the roulette's; they sum to 1. The
            roulette's goes to the random ones where there are no prices.
        evolution: how the population is run.
        gradient: how the policy is trained.
        reward: how quality and budgets are scored.
        volume: weight of the volume a child adds in its reward; the score of its quality has the rest.
        hidden: width of the policy's recurrent state.
        embedding: width of the policy's embeddings.
        whole: share of the policy's children that keep no gene of their parent.
        largest: longest block the policy decides in the others, as a fraction of the genes.

    Raises:
        StrategyError: a share is out of range.
    """

    mix: tuple[float, float, float] = (0.2, 0.65, 0.15)
    evolution: EvolutionSettings = field(default_factory=EvolutionSettings)
    gradient: GradientSettings = field(default_factory=GradientSettings)
    reward: RewardSettings = field(default_factory=RewardSettings)
    volume: float = 0.5
    hidden: int = 32
    embedding: int = 16
    whole: float = 0.5
    largest: float = 0.25

    def __post_init__(self) -> None:
        if min(self.mix) < 0 or abs(sum(self.mix) - 1) > 1e-9:
            raise StrategyError(
                f"mix={self.mix} must be shares of random, policy and roulette that sum to 1, such as "
                "(0.2, 0.65, 0.15)"
            )
        if not (0 <= self.volume <= 1 and 0 <= self.whole <= 1 and 0 < self.largest <= 1):
            raise StrategyError(
                f"volume, whole and largest are fractions; got {self.volume}, {self.whole}, {self.largest}"
            )


class Reinforced:
    """NSGA-II with a share of its mutations drawn from a policy that is rewarded for what it adds.

    The policy decides a block of a parent's genes, or all of them, reading the genes before; it is trained on
    ``volume * gain + (1 - volume) * score``: the hypervolume the child adds to the feasible front, as a
    fraction of the largest recent gain, and the budget-aware standard score of its first objective. The
    roulette, p(option) proportional to 1 / price, keeps cheap options in play. Everything else is
    :class:`automl.strategies.evolutionary.Evolutionary`; with ``mix=(1, 0, 0)`` the two are the same.

    Args:
        problem: objectives and hard budgets decide; prices feed the roulette.
        settings: see :class:`ReinforcedSettings`; its defaults when None.

    Reference:
        Chu et al., "Multi-Objective Reinforced Evolution in Mobile Neural Architecture Search", arXiv
        1901.01074. The shares are recalled from the same group's later tables; reconstruction: the reward,
        the form of the prior, proposals of a part of the genes, and mutation of crossed children.
    """

    info: ClassVar[StrategyInfo] = StrategyInfo(
        name="reinforced",
        summary="NSGA-II whose mutation is shared between chance, a trained policy and a roulette of prices",
        paper="Multi-Objective Reinforced Evolution in Mobile Neural Architecture Search, arXiv 1901.01074",
        finite=True,
        uses_tables=True,
        uses_predictions=True,
    )

    def __init__(self, problem: Problem, *, settings: ReinforcedSettings | None = None) -> None:
        self._problem = problem
        self._space = problem.space
        self._settings = settings or ReinforcedSettings()
        self._rng = child_rng(problem.seed, self.info.name)
        shape = PolicyShape(self._settings.hidden, self._settings.embedding, 1)
        policy = Policy(self._space, shape, child_rng(problem.seed, self.info.name, "policy"))
        self._mutation = PolicyMutation(
            self._space, policy, whole=self._settings.whole, largest=self._settings.largest
        )
        self._gradient = PolicyGradient(policy, self._settings.gradient)
        self._reward = RunningReward(1, problem.budgets, self._settings.reward)
        self._evolution = Evolutionary(
            problem, settings=self._settings.evolution, operators=self._operators()
        )
        self._reader = Proposals(problem)
        self._seeds = SeenCodes(code_keys(self._space.repair(self._space.encode(problem.seeds))))
        self._queue = EpisodeQueue(len(self._space), 1)
        self._outcomes = Outcomes()
        self._front = np.empty((0, len(problem.objectives)))
        self._reference = np.full(len(problem.objectives), -np.inf)
        self._gains: list[float] = []

    @property
    def mix(self) -> tuple[float, float, float]:
        """The shares in effect: the roulette's is random where there are no prices."""
        plain, policy, prior = self._settings.mix
        return self._settings.mix if self._prices() is not None else (plain + prior, policy, 0.0)

    def ask(self, count: int) -> list[Candidate]:
        """Return up to ``count`` new candidates; fewer only when the space is exhausted."""
        start = self._evolution.to_start
        candidates = self._evolution.ask(count)
        if self._settings.mix[1] > 0:
            codes = self._space.encode(candidates)
            self._queue.add(self._drawn_evenly(codes[:start]))
            self._queue.add(self._decided(set(code_keys(codes))))
        return candidates

    @property
    def remarks(self) -> tuple[str, ...]:
        """How the policy's entropy and reward moved."""
        return self._gradient.remarks

    @property
    def curves(self) -> tuple[LearningCurve, ...]:
        """The policy's entropy and reward, update after update."""
        return self._gradient.curves(self.info.name)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Let complete trials join the population, and train the policy on what its children added."""
        if self._settings.mix[1] > 0:
            self._note(trials)
            for episodes in self._queue.batches(self._outcomes, self._settings.gradient.batch):
                self._train(episodes)
        self._evolution.tell(trials)

    def state_dict(self) -> dict[str, Any]:
        """Return plain JSON; ``gradient.curve`` holds the training curve."""
        return {
            "strategy": self.info.name,
            "space": self._space.fingerprint,
            "rng": rng_state(self._rng),
            "evolution": self._evolution.state_dict(),
            "gradient": self._gradient.state_dict(),
            "reward": self._reward.state_dict(),
            "waiting": self._queue.state,
            "outcomes": self._outcomes.state,
            "front": self._front.tolist(),
            "reference": [v if np.isfinite(v) else None for v in self._reference.tolist()],
            "gains": list(self._gains),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore :meth:`state_dict`.

        Raises:
            StrategyError: the state belongs to another strategy, space or policy shape.
        """
        check_state(state, self.info.name, self._space.fingerprint)
        restore_rng(self._rng, state["rng"])
        self._evolution.load_state_dict(state["evolution"])
        self._gradient.load_state_dict(state["gradient"])
        self._reward.load_state_dict(state["reward"])
        self._queue.restore(state["waiting"])
        self._outcomes.restore(state["outcomes"])
        self._front = np.array(state["front"], dtype=np.float64).reshape(-1, self._front.shape[1])
        self._reference = np.array([-np.inf if v is None else v for v in state["reference"]])
        self._gains = [float(v) for v in state["gains"]]

    def _drawn_evenly(self, codes: NDArray[np.int64]) -> Episodes:
        """Return the random start of the population as episodes: an untrained policy draws alike."""
        start = self._seeds.fresh(codes)
        logs = np.broadcast_to(-np.log(self._space.cardinalities), start.shape).astype(np.float32)
        return Episodes(
            tuple(code_keys(start)),
            start,
            np.ones((len(start), 1), dtype=np.float32),
            logs,
            np.ones(start.shape, dtype=bool),
            np.zeros(len(start), dtype=bool),
        )

    def _decided(self, asked: set[str]) -> Episodes:
        """Return the policy's episodes whose outcome is or will be known, those screened out left aside."""
        played = self._mutation.played()
        rows = [i for i, key in enumerate(played.keys) if key in asked or key in self._outcomes]
        repeated = np.array([key in self._outcomes for key in played.keys], dtype=bool)
        return replace(played, repeated=repeated).take(rows)

    def _prices(self) -> Sequence[NDArray[np.float64]] | None:
        """Return the prices of what a budget or a later objective limits, None where there are none."""
        tables, first = self._problem.tables, self._problem.objectives[0].metric
        limited = [b.metric for b in self._problem.budgets if b.hard]
        metrics = [m for m in (*limited, *(o.metric for o in self._problem.objectives)) if m != first]
        priced = [m for m in metrics if tables is not None and m in tables.unary]
        return None if tables is None or not priced else mean_curves(tables, priced[0])

    def _operators(self) -> Operators:
        """Return the standard operators with every mutation mixed with the policy's and the roulette's."""
        standard = Operators.standard(budgeted=any(b.hard for b in self._problem.budgets))
        prices = self._prices()
        flat = [np.ones(c) for c in self._space.cardinalities.tolist()]
        prior = RouletteMutation(inverse_price_shares(flat if prices is None else prices))
        mixed = tuple(
            MixedMutation(plain, self._mutation, prior, self.mix, self._rng) for plain in standard.mutations
        )
        return replace(standard, mutations=mixed)

    def _note(self, trials: Sequence[Trial]) -> None:
        """Remember outcomes: first objective, share of the largest recent gain, excess of each budget."""
        told = self._reader.read(trials)
        informative = [t.measurement for t in trials if self._reader.informs(t)]
        feasible = told.violations == 0
        if feasible.any():
            self._reference = np.maximum(self._reference, told.points[feasible].max(axis=0))
        gains = np.zeros(len(told))
        if feasible.any():
            gains[feasible] = volume_gains(self._front, told.points[feasible], self._reference)
            self._front = joined_front(self._front, told.points[feasible])
        self._gains = [*self._gains, *gains[gains > 0].tolist()][-_GAINS:]
        shares = gains / max(self._gains, default=1.0)
        for row, key in enumerate(code_keys(told.codes)):
            measurement = informative[row]
            if measurement is not None:
                excess = log_excess(self._problem.budgets, measurement)
                self._outcomes.add(key, Outcome((float(told.points[row, 0]), float(shares[row]), *excess)))
        failed = [t.candidate for t in trials if t.failure is not None]
        for key in code_keys(self._space.encode(failed)):
            if key not in self._outcomes:
                self._outcomes.add(key, Outcome())

    def _train(self, episodes: Episodes) -> None:
        outcomes = [self._outcomes[key] for key in episodes.keys]
        n_values = 2 + len(self._problem.budgets)
        values = np.array([o.values or (0.0,) * n_values for o in outcomes]).reshape(-1, n_values)
        failed = np.array([o.failed for o in outcomes])
        scores, shown = self._reward.batch(values[:, :1], values[:, 2:], np.ones((len(values), 1)), failed)
        volume = self._settings.volume
        # a repeated child adds nothing to the front, whatever it once added
        added = np.where(episodes.repeated, 0.0, values[:, 1])
        self._gradient.learn(episodes, volume * added + (1 - volume) * scores, shown)
