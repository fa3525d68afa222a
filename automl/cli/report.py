"""``automl report``: one self-contained HTML file of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

__all__ = ["report"]


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="the run folder")],
    out: Annotated[
        Path | None, typer.Option("--out", help="file to write; RUN/report.html when absent")
    ] = None,
) -> None:
    """Write the report of a run as one HTML file that needs no network.

    Example: [bold]automl report runs/efficientnet_lite0-1[/]
    """
    from automl.api import report_run

    Console().print(f"wrote {report_run(run, out)}", markup=False, highlight=False)
