"""``automl profile``: what every operator of a model costs, and what bounds it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from automl.cli import completion
from automl.cli.render import wide_console

if TYPE_CHECKING:
    from automl.artifact.profile_data import ProfileData
    from automl.artifact.profile_data import ProfileRow

__all__ = ["profile"]


def profile(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="zoo name, timm:NAME, module:function, Hugging Face folder or .pt2 file"
        ),
    ],
    data: Annotated[
        str | None, typer.Option(help="data for the inputs; the embedded default when absent")
    ] = None,
    target: Annotated[
        str, typer.Option(help="whose own profile is the measured time", autocompletion=completion.targets)
    ] = "openvino",
    device: Annotated[
        str,
        typer.Option(
            help="what is estimated: cpu (this machine), h100, a100, l40s, mi300x, ...",
            autocompletion=completion.devices,
        ),
    ] = "cpu",
    float_type: Annotated[str, typer.Option("--float", help="f32 or bf16")] = "f32",
    batch: Annotated[int, typer.Option(help="samples of a run")] = 1,
    decode: Annotated[
        bool, typer.Option("--decode", help="estimate one new token a sequence against a cache")
    ] = False,
    context: Annotated[int | None, typer.Option(help="tokens in that cache")] = None,
    input: Annotated[
        list[str] | None, typer.Option("--input", help="input shape, for example 1x3x32x32")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="safetensors file for timm:NAME")] = None,
    threads: Annotated[
        int | None, typer.Option(help="threads of the serving runtime; all when absent")
    ] = None,
    repeats: Annotated[int, typer.Option(help="profiled runs")] = 30,
    top: Annotated[int, typer.Option(help="operators shown, the dearest; 0 shows all")] = 30,
    html: Annotated[
        Path | None, typer.Option(help="write table and roofline to this HTML or .svg file")
    ] = None,
    cache: Annotated[Path | None, typer.Option(help="folder of tables shared by runs")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object on standard output")] = False,
) -> None:
    """Show multiply-accumulates, bytes, bound, estimated and measured time of every operator.

    Example: [bold]automl profile minilm_l6 --batch 8 --html profile.html[/]
    """
    from automl.api import profile_model
    from automl.stages.profile_model import ProfileRequest

    request = ProfileRequest(
        model,
        data=data,
        target=target,
        device=device,
        float_type=float_type,
        batch=batch,
        decode=decode,
        context=context,
        input=tuple(input or ()),
        weights=weights,
        threads=threads,
        repeats=repeats,
    )
    found = profile_model(request, cache=cache, html=html)
    if as_json:
        typer.echo(json.dumps(found.to_json()))
        return
    show_profile(wide_console(stderr=False), found, top)
    if html is not None:
        Console(stderr=True).print(f"wrote {html}", markup=False, highlight=False)


def show_profile(console: Console, data: ProfileData, top: int) -> None:
    """Print the dearest operators in execution order, and the totals."""
    from automl.artifact.profile_page import profile_summary

    def cost(row: ProfileRow) -> float:
        return row.estimated_ms if row.measured_ms is None else row.measured_ms

    shown = set(sorted(range(len(data.rows)), key=lambda i: -cost(data.rows[i]))[: top or None])
    measured = data.measured_ms is not None
    table = Table(
        title=f"{escape(data.model)} on {escape(data.device)}: {escape(data.setting)}", title_style="dim"
    )
    table.add_column("operator", overflow="fold")
    table.add_column("kind")
    titles = ["M MACs", "MB", "op/byte", "bound", "estimated ms"]
    for title in [*titles, *(["measured ms"] if measured else [])]:
        table.add_column(title, justify="right", no_wrap=True)
    for index, row in enumerate(data.rows):
        if index not in shown:
            continue
        cells = [
            f"{row.macs / 1e6:.2f}",
            f"{row.moved_bytes / 1e6:.3f}",
            f"{row.intensity:.1f}",
            row.bound,
            f"{row.estimated_ms:.4f}",
        ]
        if measured:
            cells.append("" if row.measured_ms is None else f"{row.measured_ms:.4f}")
        table.add_row(escape(row.name), row.kind, *cells)
    console.print(table)
    if len(shown) < len(data.rows):
        left = sum(cost(r) for i, r in enumerate(data.rows) if i not in shown)
        console.print(
            f"and {len(data.rows) - len(shown)} operators more, {left:.4f} ms together", style="dim"
        )
    for line in profile_summary(data):
        console.print(line, markup=False, highlight=False)
