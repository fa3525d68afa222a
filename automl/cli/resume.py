"""``automl resume``: go on with a run or a sweep that was cut."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from automl.cli.progress import ProgressDisplay
from automl.cli.render import wide_console
from automl.cli.search import finish
from automl.cli.search import interruptible
from automl.cli.sweep import finish_sweep
from automl.core.errors import ConfigError

__all__ = ["resume"]


def resume(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="the folder of a run or a sweep")],
    workers: Annotated[int | None, typer.Option(help="processes that evaluate quality")] = None,
    time: Annotated[str | None, typer.Option("--time", help="time limit of this part of the run")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object on standard output")] = False,
) -> None:
    """Go on with an interrupted run; recorded trials are not evaluated again.

    Example: [bold]automl resume runs/efficientnet_lite0-1[/]
    """
    from automl.api import resume_run
    from automl.api_sweep import resume_sweep
    from automl.stages.sweep import is_sweep

    console = wide_console()
    if is_sweep(run):
        if time is not None:
            raise ConfigError(
                "--time limits one search, and a sweep has several; write time: into the sweep's file"
            )
        with interruptible(console), ProgressDisplay(console) as listener:
            found = resume_sweep(run, workers=workers, listener=listener)
        finish_sweep(found, console, as_json=as_json)
        return
    with interruptible(console), ProgressDisplay(console) as listener:
        result = resume_run(run, workers=workers, time=time, listener=listener)
    finish(result.answer, result.folder, console, as_json=as_json)
