"""How far a roofline's rows are from measured ones: rank correlation, and a fit of three factors.

A runtime reaches a share of each peak. Time is fitted as ``a x arithmetic + b x memory + c x kernels`` with
factors that cannot be negative, on relative errors, so that short operators count as much as long ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize
from scipy import stats

from automl.core.errors import EvaluationError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from numpy.typing import NDArray

__all__ = ["Factors", "fit_factors", "spearman"]


@dataclass(frozen=True)
class Factors:
    """What a runtime needs beside the roofline.

    Args:
        compute: measured over ideal time of arithmetic; 1 / efficiency.
        memory: the same for memory.
        kernel_ms: milliseconds a kernel costs besides.
    """

    compute: float
    memory: float
    kernel_ms: float

    def predict(self, compute: ArrayLike, memory: ArrayLike, kernels: ArrayLike) -> NDArray[np.float64]:
        """Return milliseconds (n,) of operators with these ideal milliseconds and kernels, each (n,)."""
        return np.asarray(_design(compute, memory, kernels) @ [self.compute, self.memory, self.kernel_ms])


def _design(compute: ArrayLike, memory: ArrayLike, kernels: ArrayLike) -> NDArray[np.float64]:
    return np.stack([np.asarray(v, dtype=np.float64) for v in (compute, memory, kernels)], axis=1)


def fit_factors(
    compute: ArrayLike, memory: ArrayLike, kernels: ArrayLike, measured: ArrayLike
) -> tuple[Factors, float]:
    """Return the factors with the least squared relative error, and their mean absolute relative error.

    Args:
        compute: ideal milliseconds of arithmetic, (n,).
        memory: ideal milliseconds of memory, (n,).
        kernels: kernels of each operator, (n,).
        measured: measured milliseconds, (n,), positive.

    Raises:
        EvaluationError: fewer than four operators, or a time is not positive.
    """
    times = np.asarray(measured, dtype=np.float64)
    if len(times) < 4 or not (times > 0).all():
        raise EvaluationError(
            f"three factors need at least four operators with positive times, got {len(times)}; profile a "
            "larger model"
        )
    design = _design(compute, memory, kernels)
    # Columns are scaled to one, or the solver's tolerance would drop the small ones.
    scale = np.where(design.max(axis=0) > 0, design.max(axis=0), 1.0)
    found, _ = optimize.nnls(design / scale / times[:, None], np.ones(len(times)))
    factors = Factors(*(found / scale).tolist())
    error = np.abs(factors.predict(compute, memory, kernels) / times - 1.0)
    return factors, float(error.mean())


def spearman(predicted: ArrayLike, measured: ArrayLike) -> float:
    """Return Spearman's rank correlation of two series (n,).

    Raises:
        EvaluationError: fewer than three pairs, or a series is constant.
    """
    first, second = np.asarray(predicted, dtype=np.float64), np.asarray(measured, dtype=np.float64)
    if len(first) < 3 or not np.ptp(first) > 0 or not np.ptp(second) > 0:
        raise EvaluationError(
            f"ranks of {len(first)} pairs cannot be compared; give at least three with different values"
        )
    return float(stats.spearmanr(first, second).statistic)
