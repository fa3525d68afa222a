"""A trial: candidate + fidelity + state + measurement or failure reason."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from automl.core.errors import EvaluationError

if TYPE_CHECKING:
    from automl.core.candidate import Candidate
    from automl.core.measurement import Measurement

__all__ = ["Fidelity", "Trial", "TrialState"]


class TrialState(StrEnum):
    """Where a trial stands; only ``COMPLETE`` trials carry a measurement."""

    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"


class Fidelity(StrEnum):
    """How much was spent: a subset of the samples, all of them, or the confirmed artifact."""

    SUBSET = "subset"
    FULL = "full"
    CONFIRMED = "confirmed"


@dataclass(frozen=True)
class Trial:
    """One evaluation of one candidate.

    Args:
        number: position in the ledger, from 0; trial 0 is the untouched model.
        candidate: what was evaluated.
        state: see :class:`TrialState`.
        fidelity: see :class:`Fidelity`.
        measurement: present exactly when the trial is complete.
        failure: the reason, present exactly when the trial failed.
        origin: what proposed the candidate, for example ``baseline``, ``exact`` or ``evolutionary``.
        seconds: wall time of the evaluation.
    """

    number: int
    candidate: Candidate
    state: TrialState
    fidelity: Fidelity = Fidelity.FULL
    measurement: Measurement | None = None
    failure: str | None = None
    origin: str = ""
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if (self.state is TrialState.COMPLETE) != (self.measurement is not None):
            raise EvaluationError(f"trial {self.number} is {self.state} but its measurement says otherwise")
        if (self.state is TrialState.FAILED) != (self.failure is not None):
            raise EvaluationError(
                f"trial {self.number} is {self.state} but its failure reason says otherwise"
            )

    def value(self, metric: str) -> float:
        """Return the value of ``metric`` in its own unit and direction.

        Raises:
            EvaluationError: the trial is not complete or has no such metric.
        """
        if self.measurement is None or metric not in self.measurement:
            raise EvaluationError(f"trial {self.number} has no metric '{metric}'")
        return self.measurement[metric].value
