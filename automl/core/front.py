"""The front: which measured trials are the answer, in which order, and which one is picked.

Only measured values count. Everything here is a function of the set of trials: neither the order in which
they finished nor the order in which they are given changes the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from automl.core.budget import total_violation
from automl.core.dominance import nondominated_mask
from automl.core.objective import losses
from automl.core.trial import Fidelity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from automl.core.budget import Budget
    from automl.core.measurement import Measurement
    from automl.core.objective import Objective
    from automl.core.trial import Trial

__all__ = [
    "ParetoArchive",
    "front_best_nearest",
    "knee",
    "latest_complete",
    "nearest",
    "pareto_front",
    "pick_best",
    "reachable_range",
]

_FIDELITIES = list(Fidelity)


def _measured(trial: Trial) -> Measurement:
    if trial.measurement is None:  # a complete trial always carries one; this tells the type checker
        raise ValueError(f"trial {trial.number} is {trial.state} and has no measurement")
    return trial.measurement


def latest_complete(trials: Iterable[Trial], fidelity: Fidelity = Fidelity.SUBSET) -> list[Trial]:
    """Return one complete trial a candidate: of its highest fidelity the one with the largest number.

    Args:
        trials: any trials; running and failed ones are ignored.
        fidelity: the lowest fidelity that counts.

    Returns:
        Trials sorted by number.
    """
    least = _FIDELITIES.index(fidelity)
    best: dict[str, tuple[int, int, Trial]] = {}
    for trial in trials:
        level = _FIDELITIES.index(trial.fidelity)
        if trial.measurement is None or level < least:
            continue
        digest = trial.candidate.digest
        if digest not in best or (level, trial.number) > best[digest][:2]:
            best[digest] = (level, trial.number, trial)
    return sorted((trial for _, _, trial in best.values()), key=lambda t: t.number)


@dataclass(frozen=True)
class _Row:
    """What decides about one complete trial; the trial itself may be made anew when it is asked for.

    Args:
        level: of its fidelity.
        number: of the trial.
        position: among the trials that were given.
        violation: of the hard budgets.
        broken: soft budgets that are not met, each by how much.
        loss: minimized objectives; empty where only feasible trials need them and this one is not.
    """

    level: int
    number: int
    position: int
    violation: float
    broken: float
    loss: tuple[float, ...]


def _rows(
    trials: Sequence[Trial],
    objectives: Sequence[Objective],
    budgets: Sequence[Budget],
    fidelity: Fidelity,
    *,
    infeasible: bool,
) -> list[_Row]:
    """Return the rows of :func:`latest_complete` after one look at each trial, sorted by number."""
    least = _FIDELITIES.index(fidelity)
    soft = [b for b in budgets if not b.hard]
    rows: dict[str, _Row] = {}
    for position, trial in enumerate(trials):
        level = _FIDELITIES.index(trial.fidelity)
        measurement = trial.measurement
        if measurement is None or level < least:
            continue
        before = rows.get(trial.candidate.digest)
        if before is not None and (level, trial.number) < (before.level, before.number):
            continue
        violation = total_violation(budgets, measurement)
        counts = infeasible or violation == 0.0
        rows[trial.candidate.digest] = _Row(
            level,
            trial.number,
            position,
            violation,
            sum(b.violation(measurement) for b in soft) if violation == 0.0 else 0.0,
            tuple(o.loss(measurement) for o in objectives) if counts else (),
        )
    return sorted(rows.values(), key=lambda row: row.number)


def _held(trials: Iterable[Trial]) -> Sequence[Trial]:
    """Return trials that may be looked at twice; a sequence that makes them on request stays one."""
    return trials if isinstance(trials, Sequence) else list(trials)


def _front(rows: Sequence[_Row], n_objectives: int) -> list[int]:
    """Return the positions of the front."""
    feasible = [row for row in rows if row.violation == 0.0]
    points = np.array([row.loss for row in feasible], dtype=np.float64).reshape(len(feasible), n_objectives)
    kept: dict[tuple[float, ...], int] = {}
    for index in np.flatnonzero(nondominated_mask(points)):
        kept.setdefault(feasible[index].loss, feasible[index].position)
    return [kept[point] for point in sorted(kept)]


def _best(rows: Sequence[_Row]) -> int | None:
    """Return the position of the pick."""
    feasible = [row for row in rows if row.violation == 0.0]
    best = min(feasible, key=lambda r: (*r.loss[:1], r.broken, *r.loss[1:], r.number), default=None)
    return None if best is None else best.position


def _nearest(rows: Sequence[_Row]) -> int | None:
    """Return the position of the trial with the least violation."""
    best = min(rows, key=lambda row: (row.violation, *row.loss, row.number), default=None)
    return None if best is None else best.position


def pareto_front(
    trials: Iterable[Trial],
    objectives: Sequence[Objective],
    budgets: Sequence[Budget] = (),
    *,
    fidelity: Fidelity = Fidelity.SUBSET,
) -> tuple[Trial, ...]:
    """Return the non-dominated trials that meet every hard budget, best first objective first.

    Of several trials with equal objectives only the one with the smallest number stays.

    Args:
        trials: any trials; see :func:`latest_complete` for which of them count.
        objectives: axes of the front; the first one orders the answer.
        budgets: resolved budgets; soft ones do not exclude.
        fidelity: the lowest fidelity that counts.

    Raises:
        BudgetError: a budget is not resolved, or its metric was not measured.
        EvaluationError: an objective was not measured.
    """
    held = _held(trials)
    rows = _rows(held, objectives, [b for b in budgets if b.hard], fidelity, infeasible=False)
    return tuple(held[position] for position in _front(rows, len(objectives)))


def nearest(
    trials: Iterable[Trial], budgets: Sequence[Budget], objectives: Sequence[Objective] = ()
) -> Trial | None:
    """Return the trial with the least total violation of the hard budgets; None when no trial is complete.

    Ties go to the better objectives in order, then to the smaller number. This is what a run hands back when
    nothing is feasible.
    """
    held = _held(trials)
    hard = [b for b in budgets if b.hard]
    found = _nearest(_rows(held, objectives, hard, Fidelity.SUBSET, infeasible=True))
    return None if found is None else held[found]


def pick_best(
    trials: Iterable[Trial],
    quality: Objective,
    budgets: Sequence[Budget] = (),
    *,
    ties: Sequence[Objective] = (),
) -> Trial | None:
    """Return the feasible trial with the best quality; ties by ``ties`` in order, then by number.

    Args:
        trials: any trials; complete ones count.
        quality: the metric that decides.
        budgets: resolved budgets; the hard ones exclude. Among trials of equal quality those that break fewer
            soft budgets come first.
        ties: metrics that decide among equal quality, usually ``Objective("latency_ms")``.

    Returns:
        The pick, or None when nothing meets the hard budgets.
    """
    held = _held(trials)
    found = _best(_rows(held, (quality, *ties), budgets, Fidelity.SUBSET, infeasible=False))
    return None if found is None else held[found]


def front_best_nearest(
    trials: Sequence[Trial],
    objectives: Sequence[Objective],
    budgets: Sequence[Budget],
    *,
    fidelity: Fidelity = Fidelity.SUBSET,
) -> tuple[tuple[Trial, ...], Trial | None, Trial | None]:
    """Return the front, the pick and the trial nearest to the budgets after one look at each trial.

    Args:
        trials: any trials, as many as there are: none of them is kept but what is returned.
        objectives: axes of the front; the first one is the quality, the others break ties.
        budgets: resolved budgets.
        fidelity: the lowest fidelity that counts.

    Raises:
        BudgetError: a budget is not resolved, or its metric was not measured.
        EvaluationError: an objective was not measured.
    """
    rows = _rows(trials, objectives, budgets, fidelity, infeasible=True)
    best, closest = _best(rows), _nearest(rows)
    return (
        tuple(trials[position] for position in _front(rows, len(objectives))),
        None if best is None else trials[best],
        None if closest is None else trials[closest],
    )


def knee(front: Sequence[Trial], objectives: Sequence[Objective]) -> Trial | None:
    """Return the member nearest to the ideal point, each objective scaled to [0, 1]; None when there is none.

    Ties go to the earlier member. An objective that is constant on the front does not count.
    """
    if not front:
        return None
    points = losses(objectives, [_measured(t) for t in front])
    low, span = points.min(axis=0), np.ptp(points, axis=0)
    scaled = (points - low) / np.where(span > 0, span, 1.0)
    return front[int(np.argmin(np.linalg.norm(scaled, axis=1)))]


def reachable_range(trials: Iterable[Trial], metric: str) -> tuple[float, float] | None:
    """Return the smallest and largest measured value of ``metric``; None when it was never measured."""
    values = [t.measurement[metric].value for t in trials if t.measurement and metric in t.measurement]
    return (min(values), max(values)) if values else None


class ParetoArchive:
    """A front that grows trial by trial; equal to :func:`pareto_front` of everything added.

    Args:
        objectives: axes of the front.
        budgets: resolved budgets.
    """

    def __init__(self, objectives: Sequence[Objective], budgets: Sequence[Budget] = ()) -> None:
        self._objectives = tuple(objectives)
        self._budgets = tuple(budgets)
        self._trials: dict[str, Trial] = {}
        self._front: tuple[Trial, ...] | None = ()

    def add(self, trials: Iterable[Trial]) -> None:
        """Take trials in; running and failed ones are ignored."""
        for trial in latest_complete([*self._trials.values(), *trials]):
            self._trials[trial.candidate.digest] = trial
        self._front = None

    @property
    def front(self) -> tuple[Trial, ...]:
        """The current front, best first objective first."""
        if self._front is None:
            self._front = pareto_front(self._trials.values(), self._objectives, self._budgets)
        return self._front

    @property
    def nearest(self) -> Trial | None:
        """The trial with the least violation of the hard budgets."""
        return nearest(self._trials.values(), self._budgets, self._objectives)
