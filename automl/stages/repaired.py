"""The plan of a finalist after repair, from the cache when this finalist was repaired before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from automl.core.errors import ArtifactError
from automl.stages.stored import stored_name
from automl.stages.stored import trim
from automl.transforms.plan_file import load_plan
from automl.transforms.plan_file import save_plan

if TYPE_CHECKING:
    from pathlib import Path

    from automl.core.candidate import Candidate
    from automl.stages.evaluate import CandidateEvaluator
    from automl.transforms.plan import QuantizationPlan

__all__ = ["repaired_plan"]

#: Calibration samples on which plain and repaired plan are compared, as deployed.
JUDGED_SAMPLES = 32

#: Samples that repair plans of 8-bit weights alone; their errors are small and fewer samples tell as much.
EIGHT_BIT_SAMPLES = 64


def repaired_plan(evaluator: CandidateEvaluator, candidate: Candidate) -> QuantizationPlan:
    """Return the candidate's plan after repair, or the plain one when repair does not lower its error.

    Both are judged on calibration samples, as deployed, by the squared error of the outputs.
    """
    plain = evaluator.plan(candidate)
    if not plain.weights:
        return plain
    file = _file(evaluator, candidate)
    if file.exists():
        try:
            stored = load_plan(file)
            file.touch()
            return stored
        except ArtifactError:
            file.unlink(missing_ok=True)
    calibration = evaluator.bench.data.calibration
    low_bit = any(w.bits < 7 for w in plain.weights.values())
    samples = calibration if low_bit else calibration.take(slice(0, EIGHT_BIT_SAMPLES))
    fixed = evaluator.bench.quantizer.repair(plain, samples)
    better = fixed if _error(evaluator, candidate, fixed) <= _error(evaluator, candidate, plain) else plain
    file.parent.mkdir(parents=True, exist_ok=True)
    save_plan(file, better)
    trim(file.parent)
    return better


def _file(evaluator: CandidateEvaluator, candidate: Candidate) -> Path:
    bench = evaluator.bench
    info = repr(bench.quality_target.info())
    digest = stored_name(*bench.key, candidate.digest, repr(bench.target.rules), info)
    return bench.cache.root / "repairs" / f"{digest}.npz"


def _error(evaluator: CandidateEvaluator, candidate: Candidate, plan: QuantizationPlan) -> float:
    """Return the summed mean squared error of the deployed outputs on calibration samples."""
    calibration = evaluator.bench.data.calibration
    held = calibration.take(slice(max(0, len(calibration) - JUDGED_SAMPLES), None))
    exact = evaluator.predict(evaluator.reference_file, "f32", held)
    file = evaluator.write(candidate, plan)
    outputs = evaluator.predict(file, plan.float_type, held)
    file.unlink()
    return sum(float(np.mean((o - e) ** 2)) for o, e in zip(outputs, exact, strict=True))
