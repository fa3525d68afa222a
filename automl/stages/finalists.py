"""Finalists: which measured trials are worth building, reloading and measuring again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from automl.core.budget import total_violation
from automl.core.dominance import nondominated_mask
from automl.core.front import latest_complete
from automl.core.objective import losses
from automl.core.trial import Fidelity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from automl.core.budget import Budget
    from automl.core.candidate import Candidate
    from automl.core.objective import Objective
    from automl.core.trial import Trial

__all__ = ["choose_finalists"]

#: Share of the finalists that uniform configurations may take; one always may.
ANCHOR_SHARE = 0.2


def choose_finalists(
    trials: Sequence[Trial],
    objectives: Sequence[Objective],
    budgets: Sequence[Budget],
    count: int,
    skip: frozenset[str] = frozenset(),
    anchors: frozenset[str] = frozenset(),
) -> list[Candidate]:
    """Return the candidates to confirm: feasible front members, spread over the front, then the nearest.

    A search on few trials can favor a mix that lucky images or an unrepaired rounding put ahead. So that the
    answer is never worse than the simple configuration that fits, the best feasible anchors take part.

    Args:
        trials: measured trials; those on a subset of the samples do not count.
        objectives: axes of the front, quality first.
        budgets: resolved budgets.
        count: how many.
        skip: digests of candidates confirmed already.
        anchors: digests of the uniform configurations.
    """
    complete = [t for t in latest_complete(trials, Fidelity.FULL) if t.candidate.digest not in skip]
    measured = [t.measurement for t in complete if t.measurement is not None]
    if not measured:
        return []
    violation = np.array([total_violation(budgets, m) for m in measured])
    points = losses(objectives, measured)
    is_anchor = [t.candidate.digest in anchors for t in complete if t.measurement is not None]
    chosen: list[int] = []
    feasible = np.flatnonzero(violation <= 0)
    if feasible.size:
        front = feasible[nondominated_mask(points[feasible])]
        front = front[np.lexsort(points[front].T[::-1])]
        simple = [i for i in feasible[np.lexsort(points[feasible].T[::-1])] if is_anchor[i]]
        simple = simple[: max(1, round(count * ANCHOR_SHARE))]
        room = max(1, count - len(simple))
        take = np.unique(np.linspace(0, len(front) - 1, min(room, len(front))).round().astype(int))
        first, *rest = (int(i) for i in front[take])
        # Early enough to be among those that are repaired.
        chosen = list(dict.fromkeys([first, *map(int, simple), *rest]))[:count]
    order = np.lexsort((points[:, 0], violation))
    for index in order:
        if len(chosen) >= min(count, max(2, len(feasible))) and feasible.size:
            break
        if len(chosen) >= count:
            break
        if int(index) not in chosen:
            chosen.append(int(index))
    return [complete[i].candidate for i in chosen]
