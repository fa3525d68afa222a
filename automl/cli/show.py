"""``automl show``: the answer of a run, or one of its models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from automl.cli.render import answer_json
from automl.cli.render import format_metric
from automl.cli.render import kernel_table
from automl.cli.render import show_answer
from automl.cli.render import wide_console
from automl.searchspaces.dimension import split_name
from automl.stages.answer import read_answer

__all__ = ["show"]


def show(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="the run folder")],
    model: Annotated[str | None, typer.Argument(metavar="ID", help="id of a model of the front")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object on standard output")] = False,
) -> None:
    """Show the front of a run, or the options and numbers of one model.

    Example: [bold]automl show runs/efficientnet_lite0-1 0f3a[/]
    """
    answer = read_answer(run)
    console = wide_console(stderr=False)
    if as_json:
        typer.echo(json.dumps(answer_json(answer, run)))
        return
    if model is None:
        show_answer(console, answer, run)
        return
    member = answer.member(model)
    metrics = Table(title=f"model {member.id}")
    metrics.add_column("metric")
    metrics.add_column("value", justify="right")
    for name, metric in member.measurement.items():
        metrics.add_row(name, format_metric(name, metric))
    console.print(metrics)
    if timed := member.measurement.facts.get("latency_timed"):
        console.print(f"timed by {escape(str(timed))}")
    options = Table(title="options")
    options.add_column("site")
    options.add_column("decision")
    options.add_column("option")
    for name, option in member.candidate.assignment:
        kind, site = split_name(name)
        options.add_row(escape(site), kind, escape(str(option)))
    console.print(options)
    if member.served:
        console.print(kernel_table(member))
