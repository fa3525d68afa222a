"""``automl report``: one self-contained HTML file of a run or a sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

__all__ = ["report"]


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="the folder of a run or a sweep")],
    out: Annotated[
        Path | None, typer.Option("--out", help="file to write; RUN/report.html when absent")
    ] = None,
) -> None:
    """Write the report of a run as one HTML file that needs no network.

    Example: [bold]automl report runs/efficientnet_lite0-1[/]
    """
    from automl.api_result import report_run
    from automl.api_sweep import open_sweep
    from automl.stages.sweep import is_sweep

    if is_sweep(run):
        path = open_sweep(run).report(out if out is not None else run / "report.html")
    else:
        path = report_run(run, out)
    Console().print(f"wrote {path}", markup=False, highlight=False)
