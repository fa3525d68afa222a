"""Measured latency: a candidate's file timed in alternation with the untouched model, drift divided out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from automl.core.errors import EvaluationError
from automl.core.measurement import Measurement
from automl.core.measurement import Metric
from automl.evaluators.latency_model import LatencyObservation
from automl.targets.timing import timing_facts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from automl.targets.base import Target
    from automl.targets.base import Timing

__all__ = ["LatencyMeter"]

_ROUNDS = 4
_MIN_REPEATS = 4
_SLOW = 1.15


@dataclass(frozen=True)
class _Round:
    candidate: Timing
    reference: Timing


class LatencyMeter:
    """Times candidates beside a reference on one target.

    Speed drifts: another job, a neighbour, a clock that steps down. Every round therefore times the reference
    too; a candidate's latency is the median over rounds of (candidate / reference) times the reference's
    nominal milliseconds. A round in which the reference ran more than 15 % above its best is repeated, at
    most as many times again as rounds were asked for, and the calmest rounds count.

    Args:
        target: serves and times the files.
        reference: (file, float type) of the untouched model.
        inputs: one batch, one array per model input.
        reference_ms: nominal latency of the reference, for example as trial 0 recorded it; taken from the
            first measurement when None.

    Raises:
        EvaluationError: ``reference_ms`` is not positive.
    """

    def __init__(
        self,
        target: Target,
        reference: tuple[Path, str],
        inputs: Sequence[NDArray[np.generic]],
        *,
        reference_ms: float | None = None,
    ) -> None:
        if reference_ms is not None and not (np.isfinite(reference_ms) and reference_ms > 0):
            raise EvaluationError(
                f"the reference's nominal latency is {reference_ms} ms; it must be positive: measure "
                "trial 0 again"
            )
        self._target = target
        self._reference = reference
        self._inputs = list(inputs)
        self._nominal_ms = reference_ms
        self._best_ms = float("inf")

    @property
    def reference_ms(self) -> float | None:
        """Nominal latency of the reference; None before the first measurement."""
        return self._nominal_ms

    @property
    def nominal_ms(self) -> float:
        """Nominal latency of the reference.

        Raises:
            EvaluationError: nothing was measured yet and none was given.
        """
        if self._nominal_ms is None:
            raise EvaluationError("the reference has no latency yet; measure a candidate first")
        return self._nominal_ms

    def measure(self, file: Path, float_type: str, *, repeats: int = 30) -> Measurement:
        """Return ``latency_ms`` and ``latency_p95_ms`` of a file, 95 % interval included.

        Facts: ``latency_raw_ms`` (median as timed), ``latency_reference_ms`` (the reference as timed beside
        it), ``latency_drift`` (that over its nominal value; 1 when the machine kept its speed), and
        ``latency_timed`` (how, one sentence) where the device has a clock of its own.

        Args:
            file: the candidate's model file.
            float_type: how everything not quantized is computed.
            repeats: timed runs of the candidate, over all rounds.

        Raises:
            EvaluationError: the model cannot be compiled or run, or a time is not positive.
        """
        rounds = self._rounds(file, float_type, max(_MIN_REPEATS, -(-repeats // _ROUNDS)))
        reference = float(np.median([r.reference.median_ms for r in rounds]))
        if self._nominal_ms is None:
            self._nominal_ms = reference
        nominal = self._nominal_ms
        scale = [nominal / r.reference.median_ms for r in rounds]
        value = float(np.median([r.candidate.median_ms * s for r, s in zip(rounds, scale, strict=True)]))
        low = float(np.median([r.candidate.low_ms * s for r, s in zip(rounds, scale, strict=True)]))
        high = float(np.median([r.candidate.high_ms * s for r, s in zip(rounds, scale, strict=True)]))
        p95 = float(np.median([r.candidate.p95_ms * s for r, s in zip(rounds, scale, strict=True)]))
        count = sum(r.candidate.repeats for r in rounds)
        return Measurement(
            {
                "latency_ms": Metric(value, "ms", min(low, value), max(high, value), count),
                "latency_p95_ms": Metric(max(p95, value), "ms", n=count),
            },
            {
                "latency_raw_ms": float(np.median([r.candidate.median_ms for r in rounds])),
                "latency_reference_ms": reference,
                "latency_drift": reference / nominal,
                **timing_facts(rounds[0].candidate),
            },
        )

    def observe(
        self, file: Path, float_type: str, precisions: Mapping[str, str], *, repeats: int = 30
    ) -> LatencyObservation:
        """Return what the latency model learns from: the end-to-end median and the runtime's own profile.

        Args:
            file: the candidate's model file.
            float_type: how everything not quantized is computed.
            precisions: precision option by site name that ``file`` realizes.
            repeats: timed runs, and profiled ones.

        Raises:
            EvaluationError: as :meth:`measure`, or the runtime reports no profile.
        """
        measured = self.measure(file, float_type, repeats=repeats)
        profile = self._target.profile(
            file, self._inputs, float_type=float_type, repeats=max(_MIN_REPEATS, repeats // 2)
        )
        if not profile:
            raise EvaluationError(
                f"the target reports no executed nodes for {file.name}; use a target with profiles such "
                "as openvino"
            )
        return LatencyObservation(dict(precisions), float_type, measured["latency_ms"].value, tuple(profile))

    def _rounds(self, file: Path, float_type: str, repeats: int) -> list[_Round]:
        rounds: list[_Round] = []
        calm = 0
        while calm < _ROUNDS and len(rounds) < 2 * _ROUNDS:
            candidate, reference = self._target.time(
                [(file, float_type), self._reference], self._inputs, repeats=repeats
            )
            if not (candidate.median_ms > 0 and reference.median_ms > 0):
                raise EvaluationError(
                    f"{file.name} took {candidate.median_ms} ms beside {reference.median_ms} ms of the "
                    "untouched model; "
                    "both must be positive: check the clock of this machine"
                )
            self._best_ms = min(self._best_ms, reference.median_ms)
            rounds.append(_Round(candidate, reference))
            calm = sum(r.reference.median_ms <= _SLOW * self._best_ms for r in rounds)
        return sorted(rounds, key=lambda r: r.reference.median_ms)[:_ROUNDS]
