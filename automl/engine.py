"""The engine: the only loop. Ask, evaluate, record, tell, look at the front, stop.

Generations have a fixed size that does not depend on the number of workers, and completions arrive in order
of submission, so the same seed gives the same trials on one worker, on many, and on Ray. A run is resumed by
asking again with the same seed: what the ledger already holds is not evaluated again, so the resumed run ends
with exactly the trials of the uninterrupted one.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING

import numpy as np

from automl.core.budget import total_violation
from automl.core.dominance import with_point
from automl.core.errors import AutomlError
from automl.core.errors import ConfigError
from automl.core.errors import EvaluationError
from automl.core.errors import StrategyError
from automl.core.front import front_best_nearest
from automl.core.front import latest_complete
from automl.core.indicators import hypervolume
from automl.core.measurement import Measurement
from automl.core.number_set import NumberSet
from automl.core.objective import losses
from automl.core.outcome import Event
from automl.core.outcome import EventKind
from automl.core.outcome import SearchOutcome
from automl.core.outcome import StopReason
from automl.core.outcome import StopRule
from automl.core.trial import Fidelity
from automl.core.trial_store import TrialSequence
from automl.execution.trial_runner import OutOfTimeError
from automl.execution.trial_runner import Stage
from automl.execution.trial_runner import TrialRunner
from automl.strategies.base import Learning
from automl.strategies.base import MultiFidelity
from automl.strategies.base import Remarking

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.core.budget import Budget
    from automl.core.candidate import Candidate
    from automl.core.curve import LearningCurve
    from automl.core.objective import Objective
    from automl.core.trial import Trial
    from automl.execution.base import Executor
    from automl.ledger import Ledger
    from automl.strategies.base import Strategy

__all__ = ["MAX_IDLE_GENERATIONS", "SearchRun", "reference_point", "run_search"]

#: A strategy that proposes nothing new in this many generations in a row has nothing left.
MAX_IDLE_GENERATIONS = 25


@dataclass(frozen=True, eq=False)
class SearchRun:
    """Everything one search is made of.

    The payload of the executor's work function and what it returns: see
    :class:`automl.execution.trial_runner.TrialRunner`.

    Args:
        make_strategy: resolved budgets -> strategy; called once, after trial 0 was measured.
        executor: started; the engine neither starts nor closes it.
        ledger: open, empty or holding the trials of an earlier session of the same run.
        objectives: axes of the front, quality first.
        baseline: the untouched model, trial 0.
        budgets: as the user gave them, relative ones included.
        seed: seed of the run.
        stop: when to end.
        batch: candidates a generation; part of the run's identity, independent of the workers.
        fidelity: of the search's trials.
        stages: jobs of one trial.
        references: (origin, candidate) measured right after trial 0, for example the runtime's own default.
        derive: (measurement, measurement of trial 0) -> measurement with metrics relative to trial 0 added;
            None to record what the stages returned.
        on_event: is told what happens; None for silence.
        clock: seconds from any origin; None for the monotonic clock.
    """

    make_strategy: Callable[[tuple[Budget, ...]], Strategy]
    executor: Executor
    ledger: Ledger
    objectives: tuple[Objective, ...]
    baseline: Candidate
    budgets: tuple[Budget, ...] = ()
    seed: int = 0
    stop: StopRule = field(default_factory=StopRule)
    batch: int = 8
    fidelity: Fidelity = Fidelity.FULL
    stages: tuple[Stage, ...] = (Stage(),)
    references: tuple[tuple[str, Candidate], ...] = ()
    derive: Callable[[Measurement, Measurement], Measurement] | None = None
    on_event: Callable[[Event], None] | None = None
    clock: Callable[[], float] | None = None

    def __post_init__(self) -> None:
        if self.batch < 1 or not self.objectives or not self.stages:
            raise ConfigError(
                f"batch={self.batch} with {len(self.objectives)} objectives and {len(self.stages)} stages "
                "cannot run; give at least one of each"
            )


def reference_point(objectives: Sequence[Objective], baseline: Measurement) -> NDArray[np.float64]:
    """Return the fixed reference of the hypervolume, (n_objectives,), minimized, from trial 0 alone.

    Twice trial 0's value where smaller is better (1 where that is 0, as for a divergence), 0 where larger is.
    """
    loss = losses(objectives, [baseline])[0]
    return np.asarray(np.where(loss < 0, 0.0, np.where(loss > 0, 2.0 * loss, 1.0)))


class _Progress:
    """The hypervolume after each generation, and how long nothing has got better.

    Only the front is kept, so that a generation costs the same late in a search as early.
    """

    def __init__(self, run: SearchRun, budgets: tuple[Budget, ...], reference: NDArray[np.float64]) -> None:
        self._run = run
        self._budgets = budgets
        self._reference = reference
        self._front = losses(run.objectives, [])
        self._taken = NumberSet()
        self._least_violation = np.inf
        self._volume = -1.0
        self.history: list[tuple[int, float]] = []
        self.stale = 0

    def update(self, told: Sequence[Trial]) -> float:
        """Take the trials of a generation and return the hypervolume of the feasible ones so far.

        Those of a lower fidelity than the run's do not count.
        """
        new = {t.number: t for t in told if t.number not in self._taken}
        self._taken.update(new)
        whole = latest_complete(new.values(), self._run.fidelity)
        measured = [t.measurement for t in whole if t.measurement is not None]
        violations = np.array([total_violation(self._budgets, m) for m in measured], dtype=np.float64)
        for point in losses(self._run.objectives, measured)[violations <= 0]:
            self._front = with_point(self._front, point)
        volume, least = hypervolume(self._front, self._reference), float(violations.min(initial=np.inf))
        better = volume > self._volume * (1 + 1e-12) or least < self._least_violation
        self.stale = 0 if better else self.stale + 1
        self._volume, self._least_violation = max(volume, self._volume), min(least, self._least_violation)
        self.history.append((len(self._taken), volume))
        return volume


def _measure_baseline(run: SearchRun, runner: TrialRunner) -> tuple[Budget, ...]:
    """Measure trial 0 and return the budgets resolved against it.

    Raises:
        EvaluationError: the untouched model cannot be measured.
        BudgetError: a budget's metric was not measured.
    """
    trial = runner.evaluate([run.baseline], "baseline", run.fidelity)[0]
    if trial.measurement is None:
        raise EvaluationError(
            f"the untouched model cannot be measured: {trial.failure}; mend that and start in a new folder"
        )
    budgets = tuple(budget.resolve(trial.measurement) for budget in run.budgets)
    for budget in budgets:
        budget.violation(trial.measurement)
    runner.baseline, runner.budgets = trial.measurement, budgets
    return budgets


class _Loop:
    """One session of a search."""

    def __init__(self, run: SearchRun) -> None:
        self.run = run
        self.notes: list[str] = []
        self.runner = TrialRunner(
            run.executor,
            run.ledger,
            run.objectives,
            seed=run.seed,
            stages=run.stages,
            derive=run.derive,
            on_trial=self._on_trial,
            clock=run.clock,
        )
        self.emit(EventKind.PHASE, "baseline")
        self.budgets = _measure_baseline(run, self.runner)
        self.reference = reference_point(run.objectives, self.runner.baseline or Measurement({}))
        self.progress = _Progress(run, self.budgets, self.reference)
        self._strategy: Strategy | None = None
        self._idle = 0
        self._replaying = True

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the strategy says about the search."""
        return self._strategy.remarks if isinstance(self._strategy, Remarking) else ()

    @property
    def curves(self) -> tuple[LearningCurve, ...]:
        """How what the strategy learns moved, in this session and in those that were replayed."""
        return self._strategy.curves if isinstance(self._strategy, Learning) else ()

    def emit(
        self,
        kind: EventKind,
        text: str = "",
        *,
        trial: Trial | None = None,
        replayed: bool = False,
        volume: float = 0.0,
    ) -> None:
        """Tell the run's listener what happened."""
        if self.run.on_event is not None:
            done, limit = len(self.runner.used), self.run.stop.trials
            self.run.on_event(Event(kind, text, trial, replayed, done, limit, volume, self.runner.seconds))

    def _on_trial(self, trial: Trial, replayed: bool) -> None:
        self.emit(EventKind.TRIAL, trial=trial, replayed=replayed)

    def trials(self) -> Sequence[Trial]:
        """Return the trials of the search so far, in order."""
        recorded = self.run.ledger.trials()
        if isinstance(recorded, TrialSequence):
            return recorded.of(self.runner.used)
        return [recorded[number] for number in self.runner.used]

    def search(self) -> StopReason:
        """Ask, evaluate and tell until a rule says stop."""
        run = self.run
        strategy = self._strategy = run.make_strategy(self.budgets)
        for origin, candidate in run.references:
            if len(self.runner.used) < run.stop.trials:
                self._evaluate([candidate], origin)
        known = self.trials()
        strategy.tell(known)
        self.progress.update(known)
        self.emit(EventKind.PHASE, f"search with {strategy.info.name}")
        while True:
            reason = self._reason()
            if reason is not None:
                return reason
            # Always whole generations: a run that is resumed with a larger limit then asks for the same ones.
            asked = strategy.ask(run.batch)
            if not asked:
                return StopReason.EXHAUSTED
            if len(asked) > run.batch:
                raise StrategyError(
                    f"strategy {strategy.info.name} proposed {len(asked)} candidates where at most "
                    f"{run.batch} were asked for; mend its ask"
                )
            self._generation(strategy, asked)

    def _reason(self) -> StopReason | None:
        stop = self.run.stop
        if len(self.runner.used) >= stop.trials:
            return StopReason.TRIALS
        if stop.seconds is not None and self.runner.seconds >= stop.seconds:
            return StopReason.SECONDS
        if stop.stale_generations is not None and self.progress.stale >= stop.stale_generations:
            return StopReason.STALE
        return StopReason.EXHAUSTED if self._idle >= MAX_IDLE_GENERATIONS else None

    def _evaluate(
        self, candidates: Sequence[Candidate], origin: str, fidelity: Fidelity | None = None
    ) -> list[Trial]:
        spent = self.run.fidelity if fidelity is None else fidelity
        return self.runner.evaluate(candidates, origin, spent, deadline=self.run.stop.seconds)

    def _fitting(self, strategy: Strategy, asked: Sequence[Candidate]) -> dict[Fidelity, list[Candidate]]:
        """Return by fidelity the longest prefix that stays within the number of trials.

        Candidates that were measured before are free.
        """
        room = self.run.stop.trials - len(self.runner.used)
        kept: dict[Fidelity, list[Candidate]] = {}
        new: set[str] = set()
        for candidate in asked:
            fidelity = self.run.fidelity
            if isinstance(strategy, MultiFidelity):
                fidelity = strategy.fidelity(candidate)
            if self.runner.is_new(candidate, fidelity):
                new.add(candidate.digest)
            if len(new) > room:
                break
            kept.setdefault(fidelity, []).append(candidate)
        return kept

    def _generation(self, strategy: Strategy, asked: Sequence[Candidate]) -> None:
        before, evaluated = len(self.runner.used), self.runner.evaluated
        told: list[Trial] = []
        for fidelity, candidates in self._fitting(strategy, asked).items():
            told += self._evaluate(candidates, strategy.info.name, fidelity)
        if self._replaying and self.runner.evaluated > evaluated:
            self._replaying = False
            told += self._leftovers()
        strategy.tell(told)
        self._idle = 0 if len(self.runner.used) > before else self._idle + 1
        volume = self.progress.update(told)
        self.emit(EventKind.BATCH, volume=volume)

    def _leftovers(self) -> list[Trial]:
        """Return recorded trials of the search that the replay did not ask for, and take them in."""
        recorded, used = self.run.ledger.trials(), self.runner.used
        unasked = (recorded[number] for number in range(len(recorded)) if number not in used)
        left = [t for t in unasked if t.fidelity is not Fidelity.CONFIRMED]
        if left:
            self.runner.used.update(t.number for t in left)
            note = (
                f"the replay took another course than the recorded run: {len(left)} recorded trials were not "
                "asked for again and count as known"
            )
            self.notes.append(note)
            self.emit(EventKind.NOTE, note)
        return left


def run_search(run: SearchRun) -> SearchOutcome:
    """Search until a stop rule holds and return the measured front.

    Ctrl-C, the time limit and errors after trial 0 end the search cleanly: the outcome carries the reason and
    the best so far, and the ledger can be resumed.

    Raises:
        EvaluationError: the untouched model cannot be measured.
        BudgetError: a budget's metric is not measured.
        LedgerError: trial 0 cannot be recorded.
        ExecutionError: there are no workers for trial 0.
        KeyboardInterrupt: interrupted before trial 0 was measured.
    """
    loop = _Loop(run)
    budgets = loop.budgets
    error: AutomlError | None = None
    try:
        reason = loop.search()
    except OutOfTimeError:
        reason = StopReason.SECONDS
    except KeyboardInterrupt:
        reason = StopReason.INTERRUPTED
    except AutomlError as caught:
        reason, error = StopReason.ERROR, caught
    searched = loop.trials()
    if not loop.progress.history or loop.progress.history[-1][0] != len(searched):
        loop.progress.update(searched)
    front, best, closest = front_best_nearest(searched, run.objectives, budgets, fidelity=run.fidelity)
    return SearchOutcome(
        trials=run.ledger.trials(),
        budgets=budgets,
        front=front,
        best=best,
        nearest=closest,
        stopped_by=reason,
        hypervolumes=tuple(loop.progress.history),
        reference=tuple(loop.reference.tolist()),
        seconds=loop.runner.seconds,
        notes=(*loop.notes, *loop.remarks),
        error=error,
        curves=loop.curves,
    )
