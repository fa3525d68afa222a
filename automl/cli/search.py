"""``automl search``: the main job."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Annotated
from typing import Any

import typer
from rich.console import Console

from automl.cli import completion
from automl.cli.progress import ProgressDisplay
from automl.cli.render import answer_json
from automl.cli.render import show_answer
from automl.cli.render import wide_console
from automl.config import make_config
from automl.config import read_config
from automl.stages.answer import ENDED_EARLY

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["finish", "interruptible", "search"]

EXIT_ERROR = 2
EXIT_INFEASIBLE = 3
EXIT_INTERRUPTED = 130


def search(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL", help="zoo name, timm:NAME, module:function, Hugging Face folder or .pt2 file"
        ),
    ] = None,
    budget: Annotated[
        list[str] | None,
        typer.Option("--budget", "-b", help="latency=5ms, latency=0.6x, size=4MB, drop=1%, ..."),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="image folder, .npz, .txt or data-set folder; embedded when absent")
    ] = None,
    calibration_data: Annotated[
        str | None, typer.Option(help="other data to calibrate on, or 'embedded'; part of --data when absent")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="safetensors file for timm:NAME")] = None,
    input: Annotated[
        list[str] | None, typer.Option("--input", help="input shape, for example 1x3x32x32")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            help="openvino, openvino:isa=avx512_core, onnxruntime, torch, triton",
            autocompletion=completion.targets,
        ),
    ] = None,
    estimate: Annotated[
        str | None,
        typer.Option(
            help="price latency by the roofline of h100, a100, l40s, mi300x, ... instead of measuring it",
            autocompletion=completion.devices,
        ),
    ] = None,
    space: Annotated[str | None, typer.Option(help="what is searched: precision")] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", help="allow only these options (repeat)", autocompletion=completion.options),
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            help="evolutionary, exact, ...: see automl strategies", autocompletion=completion.strategies
        ),
    ] = None,
    effort: Annotated[
        str | None, typer.Option(help="quick, standard or full", autocompletion=completion.efforts)
    ] = None,
    trials: Annotated[
        int | None, typer.Option(help="candidates evaluated, the untouched model included")
    ] = None,
    time: Annotated[
        str | None,
        typer.Option("--time", help="stop searching after 90s, 10m, 2h and answer with the best so far"),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="seed of every random decision")] = None,
    data_seed: Annotated[
        int | None,
        typer.Option(help="seed of samples and tables; runs of one data seed share them; --seed when absent"),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="processes that evaluate quality")] = None,
    executor: Annotated[
        str | None, typer.Option(help="local or ray", autocompletion=completion.executors)
    ] = None,
    ray_address: Annotated[str | None, typer.Option(help="address of a Ray cluster")] = None,
    workers_resources: Annotated[
        str | None,
        typer.Option(help="what each worker needs: CPU=2,memory=4GB,NAME=1; memory is also its cap"),
    ] = None,
    timing_resource: Annotated[
        str | None, typer.Option(help="Ray resource of the node that times, see docs/cluster.md")
    ] = None,
    trial_time: Annotated[
        str | None, typer.Option(help="time after which one evaluation counts as hung: 90s, 15m")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="threads of the serving runtime; all when absent")
    ] = None,
    batch: Annotated[int | None, typer.Option(help="batch size at which latency is measured")] = None,
    repeat: Annotated[
        int | None, typer.Option(help="measurements of each candidate, averaged; for noisy machines")
    ] = None,
    calibration: Annotated[int | None, typer.Option(help="calibration samples")] = None,
    evaluation: Annotated[int | None, typer.Option(help="evaluation samples")] = None,
    run: Annotated[Path | None, typer.Option(help="run folder; a new one under ./runs when absent")] = None,
    cache: Annotated[Path | None, typer.Option(help="folder of tables shared by runs")] = None,
    storage: Annotated[
        str | None, typer.Option(help="Optuna storage URL instead of the journal file")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="YAML file with these settings; options given here win")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object on standard output")] = False,
) -> None:
    """Search bits for every layer and return a measured Pareto front of deployable models.

    Example: [bold]automl search efficientnet_lite0 --budget latency=0.6x --budget drop=1%[/]
    """
    given: dict[str, Any] = {
        "model": model,
        "budget": budget,
        "data": data,
        "calibration_data": calibration_data,
        "weights": weights,
        "input": input,
        "target": target,
        "estimate": estimate,
        "space": space,
        "options": option,
        "strategy": strategy,
        "effort": effort,
        "trials": trials,
        "time": time,
        "seed": seed,
        "data_seed": data_seed,
        "workers": workers,
        "executor": executor,
        "ray_address": ray_address,
        "workers_resources": workers_resources,
        "timing_resource": timing_resource,
        "trial_time": trial_time,
        "threads": threads,
        "batch": batch,
        "repeat": repeat,
        "calibration": calibration,
        "evaluation": evaluation,
        "cache": cache,
        "storage": storage,
    }
    stated = {key: value for key, value in given.items() if value is not None}
    base = read_config(config).model_dump() if config is not None else {}
    settings = make_config({**base, **stated})
    from automl.api import run_config

    console = wide_console()
    with interruptible(console), ProgressDisplay(console) as listener:
        result = run_config(settings, run=run, listener=listener)
    finish(result.answer, result.folder, console, as_json=as_json)


@contextmanager
def interruptible(console: Console) -> Iterator[None]:
    """Turn Ctrl-C into a line and exit 130, outside the search proper, which ends with an answer."""
    try:
        yield
    except KeyboardInterrupt:
        console.print(
            "automl: interrupted; nothing recorded is lost, go on with automl resume RUN", markup=False
        )
        raise typer.Exit(EXIT_INTERRUPTED) from None


def finish(answer: Any, folder: Path, console: Console, *, as_json: bool) -> None:
    """Show an answer and leave with its exit code."""
    show_answer(console, answer, folder)
    if as_json:
        typer.echo(json.dumps(answer_json(answer, folder)))
    if answer.stopped_by == "error":
        note = next((n for n in answer.notes if n.startswith(ENDED_EARLY)), ENDED_EARLY)
        line = f"automl: {note}; this is the best so far, go on with automl resume {folder}"
        console.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(EXIT_ERROR)
    if answer.stopped_by == "interrupted":
        raise typer.Exit(EXIT_INTERRUPTED)
    if answer.best is None:
        raise typer.Exit(EXIT_INFEASIBLE)
