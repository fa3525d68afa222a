"""Evolution screened by a learned prediction that is judged before every use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any
from typing import ClassVar

import numpy as np

from automl.core.dominance import nondominated_mask
from automl.core.errors import StrategyError
from automl.core.measurement import METRIC_UNITS
from automl.core.objective import Objective
from automl.core.rng import child_rng
from automl.strategies.acquisition_math import chosen_batch
from automl.strategies.acquisition_math import feasible_chance
from automl.strategies.base import StrategyInfo
from automl.strategies.curve_log import CurveLog
from automl.strategies.evolutionary import Evolutionary
from automl.strategies.evolutionary import EvolutionSettings
from automl.strategies.evolutionary import bred
from automl.strategies.operators.dedup import code_keys
from automl.strategies.operators.design import mixed_design
from automl.strategies.operators.selection import tournament
from automl.strategies.rated import Rated
from automl.strategies.screening import hard_excess
from automl.strategies.surrogate_model import SurrogateModel

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.core.candidate import Candidate
    from automl.core.curve import LearningCurve
    from automl.core.trial import Trial
    from automl.strategies.base import Problem

__all__ = ["Surrogate", "SurrogateSettings"]

#: An excess up to this is rounding, as for measured budgets.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class SurrogateSettings:
    """How the prediction is used.

    Args:
        generations: generations bred on the prediction alone for a batch.
        breadth: children a generation, and members that live on.
        optimism: standard deviations by which a predicted objective is taken to be better once trials abound,
            half as many after ``halfway`` trials for every effect that a single option can have. Before,
            deviations tell what nobody has tried rather than what is promising.
        halfway: see there; 0 for full optimism from the start.
        plain: share of the proposals that evolution makes unscreened, so that the model is judged where it
            did not choose too.
        remembered: trials the model learns from: the newest half and the best of the others.
        designed: whether a search without prediction begins with uniform configurations and mixes of them;
            with random candidates otherwise.

    Raises:
        StrategyError: a number is out of range.
    """

    generations: int = 16
    breadth: int = 96
    optimism: float = 1.0
    halfway: float = 2.0
    plain: float = 0.125
    remembered: int = 512
    designed: bool = True

    def __post_init__(self) -> None:
        if self.generations < 1 or self.breadth < 2 or self.remembered < 16:
            raise StrategyError(
                "generations must be at least 1, breadth at least 2 and remembered at least 16; got "
                f"{self.generations}, {self.breadth}, {self.remembered}"
            )
        if not 0 <= self.plain <= 1 or self.optimism < 0 or self.halfway < 0:
            raise StrategyError(
                "plain is a share from 0 to 1, optimism and halfway are not negative; got "
                f"{self.plain}, {self.optimism}, {self.halfway}"
            )


class Surrogate(Evolutionary):
    """``evolutionary`` whose proposals are those that a learned prediction promises most of.

    The prediction of each metric is the problem's own one, where there is one, plus a residual learned from
    the trials, with uncertainty. For a batch, several generations are bred on it from the best that was
    measured; then each proposal is the candidate whose optimistic prediction adds most hypervolume to the
    measured front and the proposals before it, times its chance to meet the hard budgets; optimism grows with
    the number of trials. While nothing is feasible, the least predicted violation decides. Where the problem
    predicts nothing, the first proposals, 16 by default, are uniform configurations and mixes of them, see
    :func:`~automl.strategies.operators.design.mixed_design`.

    Every trial is predicted before it is learned from. A metric whose learned prediction does not beat the
    problem's own one (after a linear correction), or the mean, is predicted by that instead; where none beats
    it, proposals are those of ``evolutionary``. See :attr:`report`.

    Args:
        problem: as for ``evolutionary``; prices of other hard budgets' metrics are used too.
        settings: of the evolution; 16 proposals before breeding begins when None.
        screening: see :class:`SurrogateSettings`; its defaults when None.

    Reference:
        Jin, "Surrogate-assisted evolutionary computation: recent advances and future challenges", 2011;
        Emmerich, Giannakoglou, Naujoks, "Single- and multiobjective evolutionary optimization assisted by
        Gaussian random field metamodels", 2006, for the optimistic hypervolume improvement.
    """

    info: ClassVar[StrategyInfo] = StrategyInfo(
        name="surrogate",
        summary="evolution screened by prices plus a learned residual, used only while it predicts better",
        paper="Emmerich et al., evolutionary optimization assisted by Gaussian random field metamodels, 2006",
        finite=True,
        uses_tables=True,
        uses_predictions=True,
    )

    def __init__(
        self,
        problem: Problem,
        *,
        settings: EvolutionSettings | None = None,
        screening: SurrogateSettings | None = None,
    ) -> None:
        super().__init__(problem, settings=settings or EvolutionSettings(start=16))
        self._screening = screening or SurrogateSettings()
        self._model = SurrogateModel(problem)
        self._codes = np.empty((0, len(problem.space)), dtype=np.int64)
        self._values = np.empty((0, len(self._model.metrics)))
        self._told = 0
        self._logs = {metric: CurveLog() for metric in self._model.metrics}
        #: How a search begins that has neither seeds nor a prediction.
        self._design = np.empty((0, len(problem.space)), dtype=np.int64)
        if problem.predict is None and self._screening.designed:
            rng = child_rng(problem.seed, "surrogate", "design")
            self._design = mixed_design(problem.space, rng, self._settings.start or 0)

    def ask(self, count: int) -> list[Candidate]:
        """Return up to ``count`` new candidates; fewer only when the space is exhausted."""
        wanted = min(count, self.to_start)
        codes = self._proposals.seeds(wanted)
        codes = np.concatenate([codes, self._proposals.fresh(self._design, wanted - len(codes))])
        self._asked += len(codes)
        rest = super().ask(count - len(codes))
        return [*self._proposals.candidates(codes), *rest]

    @property
    def report(self) -> list[dict[str, Any]]:
        """For each compared metric whether the learned prediction is in use, why, and how well it holds."""
        return self._model.report

    @property
    def remarks(self) -> tuple[str, ...]:
        """For each compared metric a sentence: in use or switched off, why, and how well it is calibrated."""
        return tuple(model.sentence for model in self._model.records)

    @property
    def curves(self) -> tuple[LearningCurve, ...]:
        """For each compared metric how far predictions were off, and how often their interval held."""
        found: list[LearningCurve] = []
        for record in self._model.records:
            unit = METRIC_UNITS.get(record.metric, "")
            error = f"mean error of {record.metric}{', ' + unit if unit else ''}"
            found += self._logs[record.metric].curves(
                f"prediction of {record.metric} by {self.info.name}",
                "Means over the last 64 predictions, each made before its trial was measured. The learned "
                f"one is in use only where it beats {record.baseline}.",
                "predictions made",
                (
                    ("learned", error),
                    (record.baseline.removeprefix("the "), error),
                    ("95 % interval", "measured within the 95 % interval, %"),
                ),
            )
        return tuple(found)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Judge the predictions of complete trials, then learn from them."""
        informing = [t.measurement for t in trials if self._proposals.informs(t)]
        told = self._proposals.read(trials)
        if not len(told):
            return
        others = self._model.metrics[len(self._problem.objectives) :]
        extra = [[Objective(m).loss(measured) for m in others] for measured in informing if measured]
        values = np.concatenate(
            [told.points, np.array(extra, dtype=np.float64).reshape(len(told), -1)], axis=1
        )
        self._model.judge(told.codes, values)
        for record in self._model.records:
            if record.judged:
                held = record.report
                errors = (held["error"], held["baseline_error"])
                self._logs[record.metric].note(record.predicted, *errors, 100 * held["coverage_95"])
        self._join(told)
        self._told += len(told)
        self._remember(told.codes, values)
        self._model.learn(self._codes, self._values, self._told)

    def state_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            **super().state_dict(),
            "told": self._told,
            "model_codes": self._codes.tolist(),
            "model_values": self._values.tolist(),
            "model": self._model.state,
            "report": self.report,
            "curves": {metric: log.state for metric, log in self._logs.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore :meth:`state_dict`.

        Raises:
            StrategyError: the state belongs to another strategy or space.
        """
        super().load_state_dict(state)
        n = len(state["model_codes"])
        self._codes = np.array(state["model_codes"], dtype=np.int64).reshape(n, len(self._space))
        self._values = np.array(state["model_values"], dtype=np.float64).reshape(n, len(self._model.metrics))
        self._told = int(state["told"])
        for metric, log in self._logs.items():
            log.restore(state["curves"][metric])
        self._model.restore(state["model"], self._codes, self._values)

    @property
    def _optimism(self) -> float:
        """Standard deviations by which predictions are taken to be better after what was told so far."""
        trials, half = self._told, self._screening.halfway * float((self._space.cardinalities - 1).sum())
        return self._screening.optimism * trials / max(trials + half, 1.0)

    def _remember(self, codes: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        """Take rows in; the last value of a code counts, and the oldest of no use are forgotten."""
        codes, values = np.concatenate([self._codes, codes]), np.concatenate([self._values, values])
        last = {key: row for row, key in enumerate(code_keys(codes))}
        rows = np.array(sorted(last.values()), dtype=np.int64)
        room = self._screening.remembered
        if len(rows) > room:
            old, new = rows[: -(room // 2)], rows[-(room // 2) :]
            best = self._operators.survival(*self._rated(values[old]), room - len(new))
            rows = np.concatenate([np.sort(old[best]), new])
        self._codes, self._values = codes[rows], values[rows]

    def _rated(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return objectives (n, n_objectives) and violations (n,) of compared metrics (n, n_metrics)."""
        excess = hard_excess(values, self._model.metrics, self._problem.budgets)
        excess[excess <= _ROUNDING] = 0.0
        return values[:, : len(self._problem.objectives)], excess.sum(axis=1)

    def _children(self, count: int) -> NDArray[np.int64]:
        """Return up to ``count`` new codes, those that promise most."""
        if not self._model.in_use:
            return super()._children(count)
        plain = int(self._rng.binomial(count, self._screening.plain))
        found = self._promising(count - plain)
        found = self._proposals.fresh(found, count - plain)
        return np.concatenate([found, super()._children(count - len(found))])

    def _promising(self, count: int) -> NDArray[np.int64]:
        """Return the codes of a batch chosen from generations bred on the prediction."""
        pool = self._pool()
        codes = self._proposals.seen.fresh(pool)
        if not len(codes) or count < 1:
            return codes[:0]
        foreseen = self._model.predict(codes)
        points, violations = self._rated(self._values)
        if not (violations == 0).any():
            return codes[np.argsort(self._rated(foreseen.at(0.0))[1], kind="stable")[:count]]
        chance = feasible_chance(*foreseen.excess(self._problem.budgets))
        width = len(self._problem.objectives)
        hopeful = foreseen.at(-self._optimism)[:, :width]
        measured = points[violations == 0]
        front = measured[nondominated_mask(measured)]
        low, high = front.min(axis=0), measured.max(axis=0)
        reference = high + 0.1 * np.where(high > low, high - low, 1.0)
        return codes[chosen_batch(hopeful, chance, front, reference, count)]

    def _pool(self) -> NDArray[np.int64]:
        """Return the survivors of generations bred from the best measured and rated by the prediction."""
        rng, breadth = self._rng, self._screening.breadth
        members = self._foreseen(self._living.codes)
        for _ in range(self._screening.generations):
            mothers = members.codes[tournament(len(members), breadth, rng)]
            fathers = members.codes[tournament(len(members), breadth, rng)]
            children = bred(mothers, fathers, self._operators, self._settings, self._genes, rng)
            members = members.joined(self._foreseen(self._space.repair(children))).latest()
            members = members.take(self._operators.survival(members.points, members.violations, breadth))
        return members.codes

    def _foreseen(self, codes: NDArray[np.int64]) -> Rated:
        """Return codes rated by their optimistic prediction."""
        foreseen = self._model.predict(codes)
        hopeful = foreseen.at(-self._optimism)[:, : len(self._problem.objectives)]
        return Rated(codes, hopeful, self._rated(foreseen.at(0.0))[1])
