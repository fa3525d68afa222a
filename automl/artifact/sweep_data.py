"""What the report of a sweep shows: one row a cell, and how strategies compare over seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from automl.core.indicators import hypervolume
from automl.core.measurement import is_maximized

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CellRow", "FrontPoint", "StrategySummary", "SweepReport", "covered_shares", "summarize"]


@dataclass(frozen=True)
class FrontPoint:
    """One confirmed model of a cell's front.

    Args:
        id: of the model.
        latency_ratio: latency as a multiple of the untouched model's.
        quality: value of the cell's quality metric, in its unit.
        pick: whether it is the cell's answer.
    """

    id: str
    latency_ratio: float
    quality: float
    pick: bool = False


@dataclass(frozen=True)
class CellRow:
    """One cell of a sweep.

    Args:
        name: of the cell.
        model: as the user gave it.
        target: as the user gave it.
        budget: the limits, as text.
        strategy: name of the searcher.
        seed: of the run.
        state: ``done``, ``failed``, ``interrupted`` or ``pending``.
        reason: why it failed.
        seconds: wall time.
        link: the cell's report, relative to the sweep's; empty when there is none.
        metric: the quality metric; empty when nothing was measured.
        front: confirmed models within the hard budgets, or the nearest when ``best`` is None.
        best: the pick; None when nothing meets the hard budgets.
        size_ratio: bytes of the pick as a multiple of the untouched model's, None without a pick.
        trials: candidates evaluated.
        failed_trials: how many of them failed.
    """

    name: str
    model: str
    target: str
    budget: str
    strategy: str
    seed: int
    state: str
    reason: str = ""
    seconds: float = 0.0
    link: str = ""
    metric: str = ""
    front: tuple[FrontPoint, ...] = ()
    best: FrontPoint | None = None
    size_ratio: float | None = None
    trials: int = 0
    failed_trials: int = 0

    @property
    def problem(self) -> tuple[str, str, str]:
        """Model, target and budget: what strategies and seeds are compared on."""
        return self.model, self.target, self.budget


@dataclass(frozen=True)
class StrategySummary:
    """One strategy on one problem, over its seeds; quartiles are (25 %, median, 75 %), None without values.

    Args:
        problem: model, target and budget.
        strategy: name of the searcher.
        cells: seeds that were run to the end.
        met: how many of them met the hard budgets.
        metric: the quality metric.
        quality: of the picks.
        latency_ratio: of the picks.
        covered: see :func:`covered_shares`.
        seconds: wall time.
    """

    problem: tuple[str, str, str]
    strategy: str
    cells: int
    met: int
    metric: str
    quality: tuple[float, float, float] | None
    latency_ratio: tuple[float, float, float] | None
    covered: tuple[float, float, float] | None
    seconds: tuple[float, float, float] | None


@dataclass(frozen=True)
class SweepReport:
    """Everything the report of one sweep shows.

    Args:
        title: name of the sweep.
        rows: one a cell, in the order they run.
        summaries: see :func:`summarize`.
        settings: (name, value) pairs that hold for every cell.
        created: ISO 8601 time.
    """

    title: str
    rows: tuple[CellRow, ...]
    summaries: tuple[StrategySummary, ...]
    settings: tuple[tuple[str, str], ...] = ()
    created: str = ""


def covered_shares(rows: Sequence[CellRow]) -> dict[str, float]:
    """Return by cell how much its confirmed front covers of the rectangle that all fronts span together.

    Axes are latency and quality; 1 is a single model as fast as the fastest and as good as the best of any
    cell, 0 a front at the far edges. Cells without a model within the hard budgets cover nothing.

    Args:
        rows: finished cells of one problem.
    """
    sign = -1.0 if rows and is_maximized(rows[0].metric) else 1.0
    fronts = {
        row.name: np.array([[p.latency_ratio, sign * p.quality] for p in row.front if row.best is not None])
        for row in rows
    }
    points = [f for f in fronts.values() if len(f)]
    if not points:
        return dict.fromkeys(fronts, 0.0)
    everything = np.concatenate(points)
    low, high = everything.min(axis=0), everything.max(axis=0)
    if not np.all(high > low):  # One model or a line: whoever holds its best point has it all.
        return {name: float(any((p == low).all() for p in front)) for name, front in fronts.items()}
    return {
        name: hypervolume((front - low) / (high - low), np.ones(2)) if len(front) else 0.0
        for name, front in fronts.items()
    }


def _quartiles(values: Sequence[float]) -> tuple[float, float, float] | None:
    kept = [v for v in values if math.isfinite(v)]
    if not kept:
        return None
    low, middle, high = np.quantile(kept, [0.25, 0.5, 0.75]).tolist()
    return low, middle, high


def summarize(rows: Sequence[CellRow]) -> tuple[StrategySummary, ...]:
    """Return each strategy on each problem, in the order of the cells; only finished cells count."""
    done = [row for row in rows if row.state == "done"]
    found = []
    for problem in dict.fromkeys(row.problem for row in done):
        same = [row for row in done if row.problem == problem]
        covered = covered_shares(same)
        for strategy in dict.fromkeys(row.strategy for row in same):
            own = [row for row in same if row.strategy == strategy]
            picks = [row.best for row in own if row.best is not None]
            found.append(
                StrategySummary(
                    problem,
                    strategy,
                    len(own),
                    len(picks),
                    own[0].metric,
                    _quartiles([p.quality for p in picks]),
                    _quartiles([p.latency_ratio for p in picks]),
                    _quartiles([covered[row.name] for row in own]),
                    _quartiles([row.seconds for row in own]),
                )
            )
    return tuple(found)
