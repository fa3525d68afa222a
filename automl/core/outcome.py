"""What a search says while it runs, when it ends, and what it hands back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from automl.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from automl.core.budget import Budget
    from automl.core.curve import LearningCurve
    from automl.core.errors import AutomlError
    from automl.core.trial import Trial

__all__ = ["Event", "EventKind", "SearchOutcome", "StopReason", "StopRule"]


class EventKind(StrEnum):
    """What happened: a phase began, a trial ended, a generation ended, or something worth a line of text."""

    PHASE = "phase"
    TRIAL = "trial"
    BATCH = "batch"
    NOTE = "note"


@dataclass(frozen=True)
class Event:
    """News of a run, for progress bars and the report.

    Args:
        kind: see :class:`EventKind`.
        text: name of the phase, or the note.
        trial: the trial that ended.
        replayed: whether it was taken from the ledger.
        done: trials of the search so far.
        limit: trials at which the search stops.
        hypervolume: volume of the feasible front after a generation.
        seconds: seconds since this session of the run began.
    """

    kind: EventKind
    text: str = ""
    trial: Trial | None = None
    replayed: bool = False
    done: int = 0
    limit: int = 0
    hypervolume: float = 0.0
    seconds: float = 0.0


class StopReason(StrEnum):
    """Why a search ended."""

    TRIALS = "trials"
    SECONDS = "seconds"
    STALE = "stale"
    EXHAUSTED = "exhausted"
    INTERRUPTED = "interrupted"
    ERROR = "error"


@dataclass(frozen=True)
class StopRule:
    """When a search ends, whichever comes first.

    Args:
        trials: true evaluations in all, trial 0 and references included.
        seconds: seconds of this session; None for no limit.
        stale_generations: generations in a row that neither enlarge the feasible front's hypervolume nor come
            nearer to feasibility; None for no such rule.

    Raises:
        ConfigError: a limit is not positive.
    """

    trials: int = 100
    seconds: float | None = None
    stale_generations: int | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not value > 0:
                raise ConfigError(
                    f"{name}={value} ends the search before it starts; give a number above zero"
                )


@dataclass(frozen=True, eq=False)
class SearchOutcome:
    """What a search hands back; measured values only.

    Args:
        trials: everything the ledger holds, in order.
        budgets: resolved against trial 0.
        front: trials that no other dominates and that meet every hard budget, best quality first.
        best: the pick: best first objective among feasible trials; None when nothing is feasible.
        nearest: the trial that misses the hard budgets least.
        stopped_by: why it ended.
        hypervolumes: (trials so far, hypervolume of the feasible front) after each generation.
        reference: the hypervolume's reference point, (n_objectives,), minimized.
        seconds: length of this session.
        notes: things worth telling, for example a replay that took another course.
        error: the error that ended the search early, when one did.
        curves: how what the strategy learns moved, from the first session on.
    """

    trials: Sequence[Trial]
    budgets: tuple[Budget, ...]
    front: tuple[Trial, ...]
    best: Trial | None
    nearest: Trial | None
    stopped_by: StopReason
    hypervolumes: tuple[tuple[int, float], ...]
    reference: tuple[float, ...]
    seconds: float
    notes: tuple[str, ...] = ()
    error: AutomlError | None = None
    curves: tuple[LearningCurve, ...] = ()

    @property
    def interrupted(self) -> bool:
        """Whether it ended before its own rules said so; resume to go on."""
        return self.stopped_by in {StopReason.INTERRUPTED, StopReason.ERROR}
