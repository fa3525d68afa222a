"""``automl strategies``: what ``--strategy`` takes, plug-ins included."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

__all__ = ["strategies"]


def strategies(
    name: Annotated[str | None, typer.Argument(help="one strategy, in detail; all when absent")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object on standard output")] = False,
) -> None:
    """List what --strategy takes, plug-ins included; details with a name or --json.

    Example: [bold]automl strategies nsga3[/]
    """
    from automl.strategies.listing import describe
    from automl.strategies.listing import describe_all
    from automl.strategies.table import list_strategies

    if as_json:
        described = describe_all() if name is None else [describe(name)]
        typer.echo(json.dumps({"schema": 1, "strategies": [d.as_dict for d in described]}))
        return
    table = Table()
    if name is None:
        # a plug-in is imported only when it is asked for, and a list asks for none
        table.add_column("strategy", no_wrap=True)
        table.add_column("summary")
        for known, summary in list_strategies().items():
            table.add_row(escape(known), escape(summary))
    else:
        table.add_column("what", no_wrap=True)
        table.add_column("value")
        for fact, value in describe(name).as_dict.items():
            if fact not in {"usable", "problem"}:
                shown = ", ".join(value) if isinstance(value, list) else str(value)
                table.add_row(fact.replace("_", " "), escape(shown))
    Console().print(table)
