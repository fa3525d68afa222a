"""The rows and the report of a sweep, read from the answers in its folder."""

from __future__ import annotations

import json
from datetime import UTC
from datetime import datetime
from typing import TYPE_CHECKING

from automl.artifact.sweep_data import CellRow
from automl.artifact.sweep_data import FrontPoint
from automl.artifact.sweep_data import SweepReport
from automl.artifact.sweep_data import summarize
from automl.artifact.sweep_page import write_sweep_page
from automl.core.errors import LedgerError
from automl.stages.answer import read_answer
from automl.stages.report import DATA_FILE
from automl.stages.report import REPORT_FILE
from automl.stages.sweep import CELLS
from automl.stages.sweep import statuses

if TYPE_CHECKING:
    from pathlib import Path

    from automl.stages.answer import Answer
    from automl.stages.answer import Member
    from automl.stages.sweep_record import CellStatus
    from automl.sweep_config import SweepCell
    from automl.sweep_config import SweepConfig

__all__ = ["sweep_report", "write_sweep_report"]


def sweep_report(sweep: SweepConfig, folder: Path, stamp: str = "") -> SweepReport:
    """Return what a sweep found so far.

    Raises:
        LedgerError: the record of the sweep is damaged.
    """
    cells = sweep.cells()
    found = statuses(folder, cells)
    rows = tuple(_row(cell, folder, found[cell.name]) for cell in cells)
    shown = cells[0].config.shown()
    own = {"model", "target", "budget", "strategy", "seed"}
    settings = tuple((k, str(v)) for k, v in shown.items() if k not in own and v not in (None, []))
    return SweepReport(sweep.name, rows, summarize(rows), settings, stamp)


def write_sweep_report(sweep: SweepConfig, folder: Path, out: Path | None = None) -> Path:
    """Write the report of a sweep into its folder, or to ``out``, and return its path.

    Raises:
        LedgerError: the record of the sweep is damaged.
        ArtifactError: the file cannot be written.
    """
    stamp = datetime.now(tz=UTC).isoformat(timespec="seconds")
    return write_sweep_page(
        sweep_report(sweep, folder, stamp), out if out is not None else folder / REPORT_FILE
    )


def _row(cell: SweepCell, folder: Path, status: CellStatus) -> CellRow:
    model, target, budget, strategy, seed = cell.label
    run = folder / CELLS / cell.name
    row = CellRow(
        cell.name, model, target, budget, strategy, seed, str(status.state), status.reason, status.seconds
    )
    try:
        answer = read_answer(run)
    except LedgerError:
        return row
    trials, failed = _counts(run)
    best = None if answer.best is None else answer.member(answer.best)
    return CellRow(
        **{name: getattr(row, name) for name in ("name", "model", "target", "budget", "strategy", "seed")},
        state=row.state,
        reason=row.reason,
        seconds=row.seconds,
        link=f"{CELLS}/{cell.name}/{REPORT_FILE}" if (run / REPORT_FILE).is_file() else "",
        metric=answer.primary,
        front=tuple(_point(m, answer) for m in answer.front or answer.nearest),
        best=None if best is None else _point(best, answer),
        size_ratio=None if best is None else _ratio(best, answer, "size_bytes"),
        trials=trials,
        failed_trials=failed,
    )


def _point(member: Member, answer: Answer) -> FrontPoint:
    quality = member.measurement[answer.primary].value
    return FrontPoint(member.id, _ratio(member, answer, "latency_ms"), quality, member.id == answer.best)


def _ratio(member: Member, answer: Answer, metric: str) -> float:
    return member.measurement[metric].value / answer.trial0.measurement[metric].value


def _counts(run: Path) -> tuple[int, int]:
    """Return how many trials a run recorded and how many failed, (0, 0) without its report's data."""
    try:
        trials = json.loads((run / DATA_FILE).read_text(encoding="utf-8"))["trials"]
        return len(trials), sum(trial["failure"] is not None for trial in trials)
    except (OSError, ValueError, KeyError, TypeError):
        return 0, 0
