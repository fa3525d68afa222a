"""What ``automl sweep`` shows: the comparison, the cells, the plan of a dry run, and the JSON object."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from rich.markup import escape
from rich.table import Table

from automl.artifact.figures import format_metric
from automl.stages.estimate_math import duration_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from automl.api_sweep import SweepResult
    from automl.artifact.sweep_data import CellRow
    from automl.stages.sweep_estimate import CellEstimate

__all__ = ["plan_json", "show_plan", "show_sweep", "sweep_json"]

_AXES = ("model", "target", "budget", "strategy", "seed")


def _table(*numbers: str) -> Table:
    table = Table()
    for name in _AXES:
        table.add_column(name, justify="right" if name == "seed" else "left")
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _short(model: str) -> str:
    """Return a model's name; of a file its name alone."""
    return escape(Path(model).name if "/" in model and ":" not in model else model)


def _outcome(row: CellRow) -> str:
    if row.state == "done":
        return "done" if row.best is not None else "[yellow]budgets not met[/]"
    color = {"failed": "red", "interrupted": "yellow"}.get(row.state, "dim")
    return f"[{color}]{row.state}[/]"


def show_sweep(console: Console, result: SweepResult) -> None:
    """Print one line a cell, the reasons of those that failed, and where the report lies."""
    table = _table("state", "quality", "latency, x", "size, x", "front", "trials", "time")
    for row in result.cells:
        best = row.best
        table.add_row(
            _short(row.model),
            *map(escape, (row.target, row.budget, row.strategy)),
            str(row.seed),
            _outcome(row),
            format_metric(row.metric, best.quality) if best else "",
            f"{best.latency_ratio:.3f}" if best else "",
            f"{row.size_ratio:.3f}" if row.size_ratio is not None else "",
            str(len(row.front)) if row.front else "",
            str(row.trials) if row.trials else "",
            duration_text(row.seconds) if row.seconds else "",
        )
    console.print(table)
    for row in result.failed:
        console.print(f"  failed: {row.name}: {row.reason}", markup=False, highlight=False, soft_wrap=True)
    if result.interrupted:
        console.print(
            f"  cells are left; go on with automl resume {result.folder}", markup=False, highlight=False
        )
    console.print(
        f"  sweep: {result.folder}   report: {result.folder / 'report.html'}", markup=False, highlight=False
    )


def sweep_json(result: SweepResult) -> dict[str, Any]:
    """Return the object that ``--json`` prints."""
    return {
        "schema": 1,
        "sweep": str(result.folder),
        "cells": [{**asdict(row), "run": str(result.folder / "cells" / row.name)} for row in result.cells],
        "comparison": [asdict(summary) for summary in result.comparison.summaries],
    }


def show_plan(console: Console, plan: Sequence[CellEstimate]) -> None:
    """Print the cells of a sweep and how long each will take."""
    table = _table("trials", "estimate")
    for entry in plan:
        model, target, budget, strategy, seed = entry.cell.label
        table.add_row(
            _short(model),
            *map(escape, (target, budget, strategy)),
            str(seed),
            str(entry.cell.config.n_trials),
            duration_text(entry.total) if entry.seconds else "[red]none[/]",
        )
    console.print(table)
    for reason in dict.fromkeys(entry.reason for entry in plan if entry.reason):
        console.print(f"  cannot be estimated: {reason}", markup=False, highlight=False, soft_wrap=True)
    known = [entry for entry in plan if entry.seconds]
    total = duration_text(sum(entry.total for entry in known)) if known else "unknown"
    trials = sum(entry.cell.config.n_trials for entry in plan)
    line = f"{len(plan)} cells, {trials} trials, about {total}; shared tables count for the first cell"
    console.print(f"  {line}", markup=False, highlight=False)


def plan_json(plan: Sequence[CellEstimate]) -> dict[str, Any]:
    """Return the object that ``--dry-run --json`` prints."""
    return {
        "schema": 1,
        "cells": [
            {
                "name": entry.cell.name,
                **dict(zip(_AXES, entry.cell.label, strict=True)),
                "trials": entry.cell.config.n_trials,
                "seconds": entry.total if entry.seconds else None,
                "phases": dict(entry.seconds),
                "reason": entry.reason,
            }
            for entry in plan
        ],
        "seconds": sum(entry.total for entry in plan),
    }
