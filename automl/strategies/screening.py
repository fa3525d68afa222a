"""What the problem's prediction says of codes, hard budgets included: for screening, never a trial."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.core.budget import Budget
    from automl.strategies.base import Problem

__all__ = ["hard_excess", "predicted_ratings"]


def predicted_ratings(
    problem: Problem, codes: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return predicted objectives (n, n_objectives), minimized, and violations (n,); None without prediction.

    Only hard budgets on objectives take part, since nothing else is predicted. An objective that nothing
    predicts is 0 everywhere, so that it orders nothing, and its budgets are left out.

    Args:
        problem: gives ``predict``, the objectives and the budgets.
        codes: (n, n_dimensions).
    """
    if problem.predict is None:
        return None
    predicted = np.asarray(problem.predict(codes), dtype=np.float64)
    unknown = np.isnan(predicted).any(axis=0).reshape(-1)
    points = np.where(unknown, 0.0, predicted)
    metrics = ["" if u else o.metric for u, o in zip(unknown, problem.objectives, strict=True)]
    excess = hard_excess(points, metrics, problem.budgets)
    return points, np.maximum(excess, 0.0).sum(axis=1)


def hard_excess(
    values: NDArray[np.float64], metrics: Sequence[str], budgets: Sequence[Budget]
) -> NDArray[np.float64]:
    """Return by which fraction of its limit each hard budget is exceeded; negative below the limit.

    Args:
        values: (n, n_metrics), minimized.
        metrics: what the columns of ``values`` are; budgets on others are left out.
        budgets: resolved.

    Returns:
        Shape (n, n_hard budgets on ``metrics``).
    """
    columns = []
    for budget in budgets:
        if budget.hard and budget.metric in metrics:
            limit = -budget.limit if budget.at_least else budget.limit
            columns.append((values[:, list(metrics).index(budget.metric)] - limit) / (abs(limit) or 1.0))
    return np.stack(columns, axis=1) if columns else np.zeros((len(values), 0))
