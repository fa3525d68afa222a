"""Candidates in, recorded trials out: the part of the loop between a strategy and the executor."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Protocol

from automl.core.errors import AutomlError
from automl.core.errors import EvaluationError
from automl.core.measurement import Measurement
from automl.core.number_set import NumberSet
from automl.core.objective import losses
from automl.core.rng import child_seed
from automl.core.trial import Fidelity
from automl.core.trial import Trial
from automl.core.trial import TrialState
from automl.core.trial_store import TrialSequence
from automl.execution.base import Job
from automl.execution.base import Lane

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator
    from collections.abc import Mapping
    from collections.abc import Sequence

    from automl.core.budget import Budget
    from automl.core.candidate import Candidate
    from automl.core.objective import Objective
    from automl.execution.base import Completion
    from automl.execution.base import Executor

__all__ = ["OutOfTimeError", "Record", "Stage", "TrialRunner"]

_FIDELITIES = {fidelity: i for i, fidelity in enumerate(Fidelity)}


class Record(Protocol):
    """What a runner needs of a ledger."""

    def record(self, trial: Trial) -> None:
        """Keep a finished trial whose number is the next one."""

    def trials(self) -> Sequence[Trial]:
        """Return all kept trials in order."""


@dataclass(frozen=True)
class Stage:
    """One job of every trial: its name goes to the work function, its lane to the executor."""

    name: str = "all"
    lane: Lane = Lane.SHARED


class OutOfTimeError(Exception):
    """The deadline passed between two trials; what was finished is recorded."""


class TrialRunner:
    """Answers from the ledger what it holds and evaluates the rest, in order.

    The work function gets ``{"candidate": {...}, "fidelity": ..., "seed": ..., "stage": ...}`` and
    returns ``Measurement.to_json()``; the stages' measurements are merged.

    Args:
        executor: started.
        ledger: the run's record.
        objectives: metrics every trial must have.
        seed: the run's seed; each evaluation gets a child of it.
        stages: jobs of one trial.
        derive: (measurement, measurement of trial 0) -> measurement with relative metrics added, or None.
        on_trial: is told each trial and whether it came from the ledger; None for silence.
        clock: seconds from any origin; None for the monotonic clock.
    """

    def __init__(
        self,
        executor: Executor,
        ledger: Record,
        objectives: tuple[Objective, ...],
        *,
        seed: int = 0,
        stages: tuple[Stage, ...] = (Stage(),),
        derive: Callable[[Measurement, Measurement], Measurement] | None = None,
        on_trial: Callable[[Trial, bool], None] | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        #: Measurement of trial 0 once it is known.
        self.baseline: Measurement | None = None
        #: Resolved budgets, whose metrics every trial must have.
        self.budgets: tuple[Budget, ...] = ()
        #: Numbers of the trials this session has asked for so far.
        self.used = NumberSet()
        #: How many of them it evaluated itself.
        self.evaluated = 0
        self._executor = executor
        self._ledger = ledger
        self._objectives = objectives
        self._seed = seed
        self._stages = stages
        self._derive = derive
        self._on_trial = on_trial
        self._clock = clock or time.monotonic
        self._began = self._clock()
        recorded = ledger.trials()
        self._next = len(recorded)
        # Numbers and not trials, and whole numbers for keys: a long search holds all of them.
        self._known = {_short_key(*identity): number for number, identity in enumerate(_identities(recorded))}

    @property
    def seconds(self) -> float:
        """Seconds since this session began."""
        return self._clock() - self._began

    def is_new(self, candidate: Candidate, fidelity: Fidelity) -> bool:
        """Return whether this session has not asked for the candidate at this fidelity yet."""
        known = self._known.get(_short_key(candidate.digest, fidelity))
        return known is None or known not in self.used

    def evaluate(
        self,
        candidates: Sequence[Candidate],
        origin: str,
        fidelity: Fidelity = Fidelity.FULL,
        *,
        deadline: float | None = None,
    ) -> list[Trial]:
        """Return one recorded trial for each candidate, in order; a repeated candidate gets the same trial.

        Args:
            candidates: members of the run's space.
            origin: what proposed them.
            fidelity: how much to spend on each.
            deadline: seconds of the session after which no further trial is awaited.

        Raises:
            OutOfTimeError: the deadline passed and trials were left to evaluate.
            LedgerError: a trial cannot be recorded.
            ExecutionError: there are no workers.
        """
        fresh: dict[str, Candidate] = {}
        recorded = self._ledger.trials()
        found: dict[int, Trial] = {}
        keys = [_short_key(candidate.digest, fidelity) for candidate in candidates]
        for key, candidate in zip(keys, candidates, strict=True):
            number = self._known.get(key)
            if number is None:
                fresh[_key(candidate, fidelity)] = candidate
            elif number not in found:
                found[number] = recorded[number]
                if number not in self.used:
                    self._note(found[number], replayed=True)
        for trial in self._evaluated(fresh, origin, fidelity, deadline) if fresh else ():
            self._known[_short_key(trial.candidate.digest, fidelity)] = trial.number
            found[trial.number] = trial
            self._note(trial, replayed=False)
        return [found[self._known[key]] for key in keys]

    def _evaluated(
        self, fresh: Mapping[str, Candidate], origin: str, fidelity: Fidelity, deadline: float | None
    ) -> Iterator[Trial]:
        """Yield each trial as soon as it is recorded."""
        try:
            self._submit(fresh, fidelity)
            completions = self._executor.completions()
            for done, candidate in enumerate(fresh.values()):
                if done and deadline is not None and self.seconds >= deadline:
                    raise OutOfTimeError
                parts = [next(completions) for _ in self._stages]
                trial = self._judge(candidate, origin, fidelity, parts)
                self._ledger.record(trial)
                self._next += 1
                self.evaluated += 1
                yield trial
        finally:
            self._executor.cancel()

    def _note(self, trial: Trial, *, replayed: bool) -> None:
        self.used.add(trial.number)
        if self._on_trial is not None:
            self._on_trial(trial, replayed)

    def _submit(self, fresh: Mapping[str, Candidate], fidelity: Fidelity) -> None:
        for key, candidate in fresh.items():
            seed = child_seed(self._seed, "evaluation", key)
            for stage in self._stages:
                payload = {
                    "candidate": candidate.as_dict,
                    "fidelity": str(fidelity),
                    "seed": seed,
                    "stage": stage.name,
                }
                self._executor.submit(Job(f"{key}/{stage.name}", payload, stage.lane))

    def _judge(
        self, candidate: Candidate, origin: str, fidelity: Fidelity, parts: Sequence[Completion]
    ) -> Trial:
        """Return the trial, failed when a stage failed or a metric that the run needs is missing."""
        number, seconds = self._next, sum(part.seconds for part in parts)
        try:
            measurement = self._merge(parts)
        except AutomlError as error:
            state = TrialState.FAILED
            return Trial(number, candidate, state, fidelity, None, str(error), origin, seconds)
        return Trial(number, candidate, TrialState.COMPLETE, fidelity, measurement, None, origin, seconds)

    def _merge(self, parts: Sequence[Completion]) -> Measurement:
        measurement = Measurement({})
        for part in parts:
            if part.failure is not None:
                raise EvaluationError(part.failure)
            try:
                measurement = measurement.merged(Measurement.from_json(part.value))
            except (KeyError, TypeError, AttributeError) as error:
                raise EvaluationError(f"job {part.key} returned no measurement: {error!r}") from error
        if self._derive is not None:
            measurement = self._derive(measurement, self.baseline or measurement)
        losses(self._objectives, [measurement])
        for budget in self.budgets:
            budget.violation(measurement)
        return measurement


def _key(candidate: Candidate, fidelity: Fidelity) -> str:
    return f"{candidate.digest}/{fidelity}"


def _identities(trials: Sequence[Trial]) -> Iterator[tuple[str, Fidelity]]:
    if isinstance(trials, TrialSequence):
        return trials.identities()
    return ((trial.candidate.digest, trial.fidelity) for trial in trials)


def _short_key(digest: str, fidelity: Fidelity) -> int:
    return int(digest, 16) * len(_FIDELITIES) + _FIDELITIES[fidelity]
