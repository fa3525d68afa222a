"""``automl sweep``: many searches as one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Annotated

import typer
from rich.console import Console

from automl.cli.progress import ProgressDisplay
from automl.cli.render import wide_console
from automl.cli.search import EXIT_INFEASIBLE
from automl.cli.search import EXIT_INTERRUPTED
from automl.cli.search import interruptible
from automl.cli.sweep_table import plan_json
from automl.cli.sweep_table import show_plan
from automl.cli.sweep_table import show_sweep
from automl.cli.sweep_table import sweep_json

if TYPE_CHECKING:
    from automl.api_sweep import SweepResult

__all__ = ["finish_sweep", "sweep"]


def sweep(
    file: Annotated[Path, typer.Argument(metavar="SWEEP.YAML", help="lists of what to combine")],
    run: Annotated[
        Path | None, typer.Option(help="folder of the sweep; runs/NAME of the file when absent")
    ] = None,
    ray_address: Annotated[str | None, typer.Option(help="evaluate on this Ray cluster")] = None,
    workers: Annotated[int | None, typer.Option(help="processes that evaluate quality")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="list the cells and how long they will take, run nothing")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object on standard output")] = False,
) -> None:
    """Search every combination of models, targets, budgets, strategies and seeds, and compare them.

    The same command, or automl resume with the folder, goes on with a sweep that was cut; cells that failed
    are tried again.

    Example: [bold]automl sweep examples/sweep.yaml --dry-run[/]
    """
    from automl.api_sweep import estimate_sweep
    from automl.api_sweep import load_sweep
    from automl.api_sweep import run_sweep

    console = wide_console()
    wanted = load_sweep(file, ray_address=ray_address, workers=workers)
    if dry_run:
        plan = estimate_sweep(wanted)
        show_plan(console, plan)
        if as_json:
            typer.echo(json.dumps(plan_json(plan)))
        if any(entry.reason for entry in plan):
            raise typer.Exit(EXIT_INFEASIBLE)
        return
    with interruptible(console), ProgressDisplay(console) as listener:
        result = run_sweep(wanted, run=run, listener=listener)
    finish_sweep(result, console, as_json=as_json)


def finish_sweep(result: SweepResult, console: Console, *, as_json: bool) -> None:
    """Show a sweep and leave with its exit code."""
    show_sweep(console, result)
    if as_json:
        typer.echo(json.dumps(sweep_json(result)))
    if result.interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
    if any(row.best is None for row in result.cells):
        raise typer.Exit(EXIT_INFEASIBLE)
