"""Differentiable search: decisions relaxed to shares, trained by gradient, made discrete in ``ask``."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING
from typing import Any
from typing import ClassVar

import numpy as np

from automl.core.errors import StrategyError
from automl.core.objective import Objective
from automl.core.rng import child_rng
from automl.strategies.array_state import decode_array
from automl.strategies.array_state import encode_array
from automl.strategies.base import StrategyInfo
from automl.strategies.proposals import Proposals
from automl.strategies.relaxation import DescentSettings
from automl.strategies.relaxation import Relaxed
from automl.strategies.relaxation import descended
from automl.strategies.relaxation_math import relaxed_shares
from automl.strategies.relaxed_metrics import RelaxedMetrics
from automl.strategies.saved_state import check_state
from automl.strategies.saved_state import restore_rng
from automl.strategies.saved_state import rng_state

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.core.candidate import Candidate
    from automl.core.trial import Trial
    from automl.strategies.base import Problem
    from automl.strategies.base import RelaxedLoss
    from automl.strategies.relaxation import Loss
    from automl.strategies.relaxation_math import Multilinear

    Floats = NDArray[np.float64]

__all__ = ["Differentiable", "DifferentiableSettings", "radical_inverse"]

#: Rounds of drawing at twice the temperature each before proposals are made at random.
_ROUNDS = 12
#: Logits are brought back to this before a task loss refines them: a settled decision has no slope.
_SOFT = 2.0


@dataclass(frozen=True)
class DifferentiableSettings:
    """How the relaxation is used.

    Args:
        paths: relaxations trained at once, each for a place of its own on the front.
        focus: share of the proposals that are made from the relaxation at the hard budgets.
        explore: share of the proposals that are drawn with a few decisions made evenly, and go out as they
            come, so that every option's effect shows.
        drawn: codes drawn for each of the others; those that the trained metrics rank best are proposed.
        start: random candidates before the first training where a metric has no prices.
        growth: training begins anew when there are this many times as many trials as the last time.
        remembered: latest trials that effects are learned from.
        descent: how relaxations are trained on prices and effects.
        task: how one of them, that at the hard budgets or each in turn, is refined on the problem's own
            relaxed loss, where it has one.

    Raises:
        StrategyError: a number is out of range.
    """

    paths: int = 4
    focus: float = 0.5
    explore: float = 0.25
    drawn: int = 8
    start: int = 24
    growth: float = 1.5
    remembered: int = 512
    descent: DescentSettings = field(default_factory=DescentSettings)
    task: DescentSettings = field(default_factory=lambda: DescentSettings(steps=16, rate=0.6, every=4))

    def __post_init__(self) -> None:
        if min(self.paths, self.drawn, self.start) < 1 or self.remembered < 16 or self.growth <= 1:
            raise StrategyError(
                "paths, drawn and start must be at least 1, remembered at least 16 and growth above 1; got "
                f"{self.paths}, {self.drawn}, {self.start}, {self.remembered}, {self.growth}"
            )
        if not (0 <= self.focus <= 1 and 0 <= self.explore <= 1):
            raise StrategyError(f"focus and explore are shares; got {self.focus}, {self.explore}")


def radical_inverse(number: int) -> float:
    """Return the bits of ``number`` mirrored at the point: 1 -> 1/2, 2 -> 1/4, 3 -> 3/4; even in (0, 1)."""
    value, step = 0.0, 0.5
    while number:
        value, step, number = value + step * (number & 1), step / 2, number >> 1
    return value


def _averaged(metric: Multilinear) -> Loss:
    """Return the loss of drawn decisions on average."""
    return lambda shares, step: metric.average(shares)


def _one_by_one(task: RelaxedLoss) -> Loss:
    """Return the task's loss of several mixtures."""

    def loss(shares: Floats, step: int) -> tuple[Floats, Floats]:
        rows = [task(row, step) for row in shares]
        return np.array([value for value, _ in rows]), np.stack([slope for _, slope in rows])

    return loss


class Differentiable:
    """Shares of the options of every decision, trained on a loss plus a budget term that converges.

    The loss is the first objective: the average of the prices and of the effects that the trials show, which
    is exact; and from there the problem's relaxed task loss where there is one, with Gumbel noise because its
    value at a mixture is not its mean over drawn decisions. The budget term is an augmented
    Lagrangian on the average costs: one relaxation holds the hard budgets, the others a cap on one further
    objective or cost, at places that spread over the front.

    ``ask`` makes decisions discrete: codes are drawn from the shares, hotter while they repeat, and those go
    out that the trained metrics rank best under the relaxation's caps.

    Args:
        problem: prices are used where they are there, ``relaxed`` too.
        settings: see :class:`DifferentiableSettings`; its defaults when None.

    Reference:
        Jang, Gu, Poole, "Categorical Reparameterization with Gumbel-Softmax", arXiv 1611.01144; the pinned
        budget in training follows Gong et al., "Fast and Controllable Post-training Sparsity", arXiv
        2405.05808, with a multiplier in the place of its fixed weight.
    """

    info: ClassVar[StrategyInfo] = StrategyInfo(
        name="differentiable",
        summary="decisions relaxed to shares and trained by gradient under a budget term that converges",
        paper="Categorical Reparameterization with Gumbel-Softmax, arXiv 1611.01144",
        finite=True,
        uses_tables=True,
    )

    def __init__(self, problem: Problem, *, settings: DifferentiableSettings | None = None) -> None:
        self._problem = problem
        self._space = problem.space
        self._settings = settings or DifferentiableSettings()
        self._rng = child_rng(problem.seed, self.info.name)
        self._proposals = Proposals(problem)
        self._metrics = RelaxedMetrics(problem)
        self._codes = np.empty((0, len(self._space)), dtype=np.int64)
        self._values = np.empty((0, len(self._metrics.metrics)))
        self._asked, self._told = 0, 0
        self._trained_at, self._trainings = -1, 0
        self._logits: Floats | None = None
        self._caps = np.empty((0, len(self._metrics.metrics)))

    def ask(self, count: int) -> list[Candidate]:
        """Return up to ``count`` new candidates; fewer only when the space is exhausted."""
        if count > 0:
            self._settle()
        start = 0 if self._metrics.priced else self._settings.start - self._asked
        breed = None if self._logits is None else self._discrete
        codes = self._proposals.generation(self._rng, count, start=start, breed=breed)
        self._asked += len(codes)
        return self._proposals.candidates(codes)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Remember complete trials; the effects they show are in the next training."""
        informing = [t.measurement for t in trials if self._proposals.informs(t)]
        told = self._proposals.read(trials)
        if not len(told):
            return
        others = self._metrics.metrics[len(self._problem.objectives) :]
        extra = [[Objective(m).loss(measured) for m in others] for measured in informing if measured]
        values = np.concatenate(
            [told.points, np.array(extra, dtype=np.float64).reshape(len(told), -1)], axis=1
        )
        kept = self._settings.remembered
        self._codes = np.concatenate([self._codes, told.codes])[-kept:]
        self._values = np.concatenate([self._values, values])[-kept:]
        self._told += len(told)

    def state_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "strategy": self.info.name,
            "space": self._space.fingerprint,
            "rng": rng_state(self._rng),
            "seen": self._proposals.keys,
            "asked": self._asked,
            "told": self._told,
            "trained_at": self._trained_at,
            "trainings": self._trainings,
            "codes": self._codes.tolist(),
            "values": self._values.tolist(),
            "logits": None if self._logits is None else encode_array(self._logits),
            "caps": encode_array(self._caps),
            "learned": self._metrics.state,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore :meth:`state_dict`.

        Raises:
            StrategyError: the state belongs to another strategy or space, or is damaged.
        """
        check_state(state, self.info.name, self._space.fingerprint)
        restore_rng(self._rng, state["rng"])
        self._proposals.restore(state["seen"])
        self._asked, self._told = int(state["asked"]), int(state["told"])
        self._trained_at, self._trainings = int(state["trained_at"]), int(state["trainings"])
        n = len(state["codes"])
        self._codes = np.array(state["codes"], dtype=np.int64).reshape(n, len(self._space))
        self._values = np.array(state["values"], dtype=np.float64).reshape(n, len(self._metrics.metrics))
        self._logits = None if state["logits"] is None else decode_array(state["logits"])
        self._caps = decode_array(state["caps"])
        self._metrics.restore(state["learned"])

    def _settle(self) -> None:
        """Train anew where trials have come in since the last training."""
        due = max(self._trained_at * self._settings.growth, self._trained_at + 1)
        if self._told < due or not (self._space.cardinalities > 1).any():
            return
        self._metrics.learn(self._codes, self._values)
        if self._metrics.known[0] is None and self._problem.relaxed is None:
            return
        self._trained_at = self._told
        self._caps = self._drawn_caps()
        self._trainings += 1
        self._logits = self._trained()

    def _drawn_caps(self) -> Floats:
        """Return the caps of each relaxation on each metric, (paths, n_metrics); infinite for none."""
        known, names = self._metrics.known, self._metrics.metrics
        limits = np.full(len(names), np.inf)
        for budget in self._problem.budgets:
            if budget.hard and not budget.relative:
                column = names.index(budget.metric)
                limit = -budget.limit if budget.at_least else budget.limit
                limits[column] = min(limits[column], limit)
        costs = [c for c in range(1, len(names)) if known[c] is not None]
        paths = self._settings.paths if costs else 1
        caps = np.tile(limits, (paths, 1))
        first = 1 if self._budgeted else 0
        for path in range(first, paths if costs else 0):
            number = self._trainings * (paths - first) + path - first
            place, which = divmod(number, len(costs))
            cost = known[costs[which]]
            if cost is not None:
                low, high = cost.bounds(self._metrics.offered)
                high = min(high, limits[costs[which]])
                caps[path, costs[which]] = low + radical_inverse(place + 1) * max(high - low, 0.0)
        return caps

    def _trained(self) -> Floats:
        """Return the logits of every relaxation, (paths, n_dimensions, width)."""
        known, offered = self._metrics.known, self._metrics.offered
        capped = [bool(np.isfinite(column).any()) for column in self._caps.T]
        pairs = [(c, m) for c, m in enumerate(known) if m is not None and capped[c]]
        tables, caps = [metric for _, metric in pairs], self._caps[:, [column for column, _ in pairs]]
        begin = np.zeros((len(caps), *offered.shape))
        relaxed = Relaxed(begin, np.zeros(caps.shape), np.zeros(caps.shape))
        settings = self._settings
        if known[0] is not None:
            average = _averaged(known[0])
            relaxed = descended(relaxed, average, tables, caps, offered, settings.descent)
        logits = relaxed.logits
        if self._problem.relaxed is not None:
            # the task's loss costs passes through the model: one relaxation is refined, that at the budgets
            row = [0 if self._budgeted else self._trainings % len(caps)]
            # a settled decision has no slope left, so it is softened; its order stays
            soft = Relaxed(
                _SOFT * np.tanh(logits[row] / _SOFT), relaxed.multipliers[row], relaxed.excess[row]
            )
            loss = _one_by_one(self._problem.relaxed)
            logits[row] = descended(soft, loss, tables, caps[row], offered, settings.task, self._rng).logits
        return logits

    @property
    def _budgeted(self) -> bool:
        return any(b.hard for b in self._problem.budgets)

    def _discrete(self, count: int) -> NDArray[np.int64]:
        """Return up to ``count`` new codes drawn from the relaxations, remembered; fewer when they repeat."""
        assert self._logits is not None
        paths = len(self._logits)
        chances = np.full(paths, 1.0 / paths)
        if paths > 1 and self._budgeted:
            chances[:] = (1 - self._settings.focus) / (paths - 1)
            chances[0] = self._settings.focus
        wanted = np.bincount(self._rng.choice(paths, size=count, p=chances), minlength=paths)
        found = [self._from_path(int(path), int(wanted[path])) for path in np.flatnonzero(wanted)]
        return np.concatenate([np.empty((0, len(self._space)), dtype=np.int64), *found])

    def _from_path(self, path: int, count: int) -> NDArray[np.int64]:
        assert self._logits is not None
        logits, offered = self._logits[path], self._metrics.offered
        bold = int(self._rng.binomial(count, self._settings.explore))
        strayed = self._strayed(self._drawn(relaxed_shares(logits, offered, 1.0), bold))
        found = self._proposals.fresh(self._space.repair(strayed), bold)
        for heat in range(_ROUNDS):
            if len(found) >= count:
                break
            shares = relaxed_shares(logits, offered, 2.0**heat)
            codes = self._drawn(shares, self._settings.drawn * (count - len(found)))
            if heat == 0:
                codes = np.concatenate([shares.argmax(axis=1)[None], codes])
            fresh = self._proposals.seen.fresh(self._space.repair(codes))
            ranked = fresh[self._order(fresh, self._caps[path])]
            found = np.concatenate([found, self._proposals.fresh(ranked, count - len(found))])
        return found

    def _drawn(self, shares: Floats, count: int) -> NDArray[np.int64]:
        """Return codes drawn from shares (n_dimensions, width); (count, n_dimensions)."""
        edges = np.cumsum(shares, axis=1)
        uniforms = self._rng.random((count, len(shares), 1))
        below = (edges[None] <= uniforms).sum(axis=2)
        return np.asarray(np.minimum(below, self._space.cardinalities - 1), dtype=np.int64)

    def _strayed(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return codes with two decisions a row, on average, made evenly."""
        even = (self._rng.random(codes.shape) * self._space.cardinalities).astype(np.int64)
        return np.where(self._rng.random(codes.shape) < 2.0 / codes.shape[1], even, codes)

    def _order(self, codes: NDArray[np.int64], caps: Floats) -> NDArray[np.int64]:
        """Return rows by predicted excess over the caps, then by the predicted first objective."""
        excess, loss = np.zeros(len(codes)), np.zeros(len(codes))
        for column, metric in enumerate(self._metrics.known):
            if metric is None:
                continue
            values = metric.at(codes)
            loss = values if column == 0 else loss
            if np.isfinite(caps[column]):
                excess += np.maximum(values - caps[column], 0.0) / (abs(caps[column]) or 1.0)
        return np.lexsort((loss, np.where(excess > 1e-9, excess, 0.0)))
