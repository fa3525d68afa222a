"""``automl bench``: measure models again, interleaved, side by side."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from automl.cli import completion
from automl.cli.render import format_metric

if TYPE_CHECKING:
    from automl.core.measurement import Measurement

__all__ = ["bench"]


def bench(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="ARTIFACT|MODEL", help="artifact folders or model names; the first is the reference"
        ),
    ],
    data: Annotated[
        str | None, typer.Option(help="data for the quality; the embedded default when absent")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            help="where they are served; an artifact's own when it holds a torch program, else openvino",
            autocompletion=completion.targets,
        ),
    ] = None,
    repeats: Annotated[int, typer.Option(help="timed runs of each model")] = 100,
    evaluation: Annotated[int, typer.Option(help="evaluation samples")] = 256,
    threads: Annotated[
        int | None, typer.Option(help="threads of the serving runtime; all when absent")
    ] = None,
    batch: Annotated[int, typer.Option(help="batch size")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object on standard output")] = False,
) -> None:
    """Measure latency and quality of models again, interleaved in one run.

    Example: [bold]automl bench efficientnet_lite0 runs/efficientnet_lite0-1/models/0f3a91c2[/]
    """
    from automl.api import bench_models

    rows = bench_models(
        models, data=data, target=target, repeats=repeats, evaluation=evaluation, threads=threads, batch=batch
    )
    if as_json:
        metrics = [
            {
                k: {"value": m.value, "unit": m.unit, "low": m.low, "high": m.high, "n": m.n}
                for k, m in r.items()
            }
            for _, r in rows
        ]
        typer.echo(
            json.dumps(
                {
                    "schema": 1,
                    "models": [
                        {"name": n, "metrics": m, **_timed(r)}
                        for (n, r), m in zip(rows, metrics, strict=True)
                    ],
                }
            )
        )
        return
    names = list(dict.fromkeys(name for _, measurement in rows for name in measurement))
    table = Table(title="measured interleaved in one run")
    table.add_column("model")
    for name in names:
        table.add_column(name, justify="right")
    table.add_column("latency ratio", justify="right")
    reference = rows[0][1]["latency_ms"].value
    for model, measurement in rows:
        cells = [format_metric(n, measurement[n]) if n in measurement else "" for n in names]
        table.add_row(escape(model), *cells, f"{measurement['latency_ms'].value / reference:.2f}x")
    Console().print(table)
    for model, measurement in rows:
        for how in _timed(measurement).values():
            Console().print(f"{escape(model)}: timed by {escape(how)}")


def _timed(measurement: Measurement) -> dict[str, str]:
    """Return how the latency was taken, where the device has a clock of its own."""
    return {k: str(v) for k, v in measurement.facts.items() if k == "latency_timed"}
