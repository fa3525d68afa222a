"""``automl export``: write a model of a run for deployment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from automl.cli import completion

__all__ = ["export"]


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="the run folder")],
    model: Annotated[str, typer.Argument(metavar="ID", help="id of a model of the front, or best")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="file to write")],
    to: Annotated[
        str,
        typer.Option("--to", help="onnx, openvino or torch", autocompletion=completion.formats),
    ] = "onnx",
) -> None:
    """Write a model of the front as ONNX, OpenVINO IR or a torch.export program.

    Example: [bold]automl export runs/efficientnet_lite0-1 best model.onnx --to onnx[/]
    """
    from automl.api import export_member

    written = export_member(run, model, out, to=to)
    Console().print(f"wrote {written}", markup=False, highlight=False)
