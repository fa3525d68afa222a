"""Which candidate is better: by the budget's end of the front alone, or by constrained dominance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from automl.core.dominance import constrained_order
from automl.core.dominance import constrained_sort

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["acceptance_order", "improving"]


def acceptance_order(
    points: NDArray[np.float64], violations: NDArray[np.float64], *, focused: bool
) -> NDArray[np.int64]:
    """Return rows from best to worst, shape (n,).

    Args:
        points: (n, n_objectives), minimized.
        violations: (n,), total violation of the hard budgets; 0 when feasible.
        focused: True to compare violation, then the first objective, then the others in turn; False for
            constrained rank and crowding.
    """
    if not focused:
        return constrained_order(points, violations)
    order: NDArray[np.int64] = np.lexsort((*points.T[::-1], np.maximum(violations, 0.0)))
    return order


def improving(
    points: NDArray[np.float64],
    violations: NDArray[np.float64],
    point: NDArray[np.float64],
    violation: float,
    *,
    focused: bool,
) -> NDArray[np.bool_]:
    """Return which rows are better than one candidate; equal ones are not.

    Args:
        points: (n, n_objectives), minimized.
        violations: (n,), total violation of the hard budgets; 0 when feasible.
        point: (n_objectives,), the candidate's objectives.
        violation: the candidate's violation.
        focused: as in :func:`acceptance_order`; otherwise a better row dominates under the constraints.

    Returns:
        Mask, shape (n,).
    """
    if focused:
        rows = np.column_stack([np.maximum(violations, 0.0), points])
        own = np.concatenate([[max(violation, 0.0)], point])
        differs = rows != own
        first = differs.argmax(axis=1)
        at = np.arange(len(rows))
        better: NDArray[np.bool_] = differs.any(axis=1) & (rows[at, first] < own[first])
        return better
    mask = np.zeros(len(points), dtype=bool)
    for row in range(len(points)):
        pair = np.stack([points[row], point])
        ranks = constrained_sort(pair, np.array([violations[row], violation]))
        mask[row] = ranks[0] < ranks[1]
    return mask
