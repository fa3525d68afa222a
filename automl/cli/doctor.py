"""``automl doctor``: what this machine can serve, and why not the rest."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

__all__ = ["doctor"]


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object on standard output")] = False,
) -> None:
    """Show which targets, models and strategies are usable here, and why the others are not.

    Example: [bold]automl doctor[/]
    """
    from automl.stages.doctor import diagnose

    findings = diagnose()
    if as_json:
        typer.echo(json.dumps({"schema": 1, "findings": [vars(f) for f in findings]}))
        return
    table = Table()
    for title in ("what", "name", "usable", "detail"):
        table.add_column(title)
    for finding in findings:
        usable = "yes" if finding.usable else "no"
        table.add_row(finding.what, escape(finding.name), usable, escape(finding.detail))
    Console().print(table)
