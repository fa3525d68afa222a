"""What an evaluator promises: candidate -> measurement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Protocol
from typing import runtime_checkable

from automl.core.trial import Fidelity

if TYPE_CHECKING:
    from automl.core.candidate import Candidate
    from automl.core.measurement import Measurement

__all__ = ["EvaluationRequest", "Evaluator"]


@dataclass(frozen=True)
class EvaluationRequest:
    """What to measure.

    Args:
        candidate: the candidate.
        fidelity: subset or full evaluation set.
        seed: child seed of this evaluation; equal requests give equal seeds.
    """

    candidate: Candidate
    fidelity: Fidelity = Fidelity.FULL
    seed: int = 0


@runtime_checkable
class Evaluator(Protocol):
    """Measures some metrics of a candidate.

    Attributes:
        metrics: names of the metrics it returns.
        lane: ``shared`` or ``exclusive`` (timing: nothing else runs on the device meanwhile).
    """

    metrics: tuple[str, ...]
    lane: str

    def evaluate(self, request: EvaluationRequest) -> Measurement:
        """Return the measurement.

        Raises:
            EvaluationError: it could not be measured; the text is the failed trial's reason.
        """
