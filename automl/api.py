"""The composition root: ``search``, ``load`` and what the command line calls; wires the rooms together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from automl.api_result import FoundModel
from automl.api_result import SearchResult
from automl.config import SearchConfig
from automl.config import make_config
from automl.core.errors import AutomlError
from automl.core.errors import LedgerError
from automl.stages.answer import read_answer
from automl.stages.events import Progressed
from automl.stages.events import silent
from automl.stages.folder import discard_unused
from automl.stages.folder import open_folder
from automl.stages.folder import stored_config

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Sequence

    from torch import nn

    from automl.artifact.artifact import Artifact
    from automl.artifact.profile_data import ProfileData
    from automl.core.measurement import Measurement
    from automl.core.samples import Samples
    from automl.stages.events import Listener
    from automl.stages.profile_model import ProfileRequest

__all__ = [
    "bench_models",
    "export_member",
    "load",
    "open_run",
    "profile_model",
    "resume_run",
    "run_config",
    "search",
]


def search(
    model: str | nn.Module,
    data: str | Path | Samples | Iterable[Any] | None = None,
    *,
    budget: str | Sequence[str] = (),
    target: str = "openvino",
    estimate: str | None = None,
    input_shapes: Sequence[Sequence[int]] = (),
    weights: Path | None = None,
    space: str = "precision",
    options: Sequence[str] = (),
    strategy: str = "evolutionary",
    effort: str = "standard",
    trials: int | None = None,
    time: str | None = None,
    seed: int = 0,
    data_seed: int | None = None,
    workers: int = 1,
    executor: str = "local",
    threads: int | None = None,
    batch: int = 1,
    repeat: int = 1,
    calibration: int = 128,
    evaluation: int = 256,
    run: Path | str | None = None,
    cache: Path | str | None = None,
    listener: Listener = silent,
) -> SearchResult:
    """Search for deployable models that meet the budgets and return the measured Pareto front.

    Args:
        model: a zoo name, ``timm:NAME``, ``module:function``, folder or ``.pt2`` file, or a module.
        data: a path, samples, or an iterable of batches such as a DataLoader; the embedded default when None.
        budget: limits such as ``latency=5ms``, ``latency=0.6x``, ``size=4MB``, ``drop=1%``.
        target: where the model is served: ``openvino``, ``openvino:isa=...``, ``onnxruntime``, ``torch`` or
            ``triton``.
        estimate: price latency by the roofline of this device, such as ``h100``, instead of measuring it.
        input_shapes: batch-1 shapes of the inputs, when the model does not state its own.
        weights: safetensors file for ``timm:NAME``.
        space: what is searched.
        options: precision options to allow; every legal one when empty.
        strategy: name of the searcher.
        effort: ``quick``, ``standard`` or ``full``.
        trials: candidates evaluated, the untouched model included; by effort when None.
        time: limit such as ``10m``; the best so far is confirmed and returned.
        seed: of every random decision.
        data_seed: of the samples that are drawn and of what tables are measured on; ``seed`` when None.
        workers: processes that evaluate quality.
        executor: ``local`` or ``ray``.
        threads: threads of the serving runtime; every core when None.
        batch: batch size at which latency is measured.
        repeat: measurements of each candidate, averaged; for noisy machines.
        calibration: samples that ranges and sensitivities are taken from.
        evaluation: samples that quality is measured on.
        run: run folder; a new one under ``runs`` when None.
        cache: folder of tables shared by runs; ``~/.cache/automl`` when None.
        listener: told what the run is doing.

    Raises:
        AutomlError: an input cannot be used; the text is one sentence that says what to do.
    """
    from automl.stages.given import keep_given

    folder = Path(run) if run is not None else None
    model_spec, data_spec, folder = keep_given(model, data, tuple(map(tuple, input_shapes)), folder)
    config = make_config(
        {
            "model": model_spec,
            "data": data_spec,
            "budget": budget,
            "target": target,
            "estimate": estimate,
            "input": tuple("x".join(map(str, s)) for s in input_shapes) if isinstance(model, str) else (),
            "weights": weights,
            "space": space,
            "options": tuple(options),
            "strategy": strategy,
            "effort": effort,
            "trials": trials,
            "time": time,
            "seed": seed,
            "data_seed": data_seed,
            "workers": workers,
            "executor": executor,
            "threads": threads,
            "batch": batch,
            "repeat": repeat,
            "calibration": calibration,
            "evaluation": evaluation,
            "cache": cache,
        }
    )
    return run_config(config, run=folder, listener=listener)


def run_config(config: SearchConfig, *, run: Path | None = None, listener: Listener = silent) -> SearchResult:
    """Run, or continue, the search that a configuration describes.

    Raises:
        AutomlError: an input cannot be used, or the run folder belongs to another configuration.
    """
    from automl.stages.check import check_config
    from automl.stages.run import execute_run

    check_config(config)
    new = run is None or not run.exists()
    folder = open_folder(config, run)
    listener(Progressed("run", text=f"run folder {folder}"))
    try:
        return SearchResult(execute_run(config, folder, listener), folder)
    except AutomlError:
        if new:
            discard_unused(folder)
        raise


def resume_run(
    run: Path, *, workers: int | None = None, time: str | None = None, listener: Listener = silent
) -> SearchResult:
    """Continue an interrupted run; what its ledger holds is not evaluated again.

    Raises:
        AutomlError: the folder is no run folder, or its ledger is damaged.
    """
    from automl.stages.run import execute_run

    stored = stored_config(run)
    changes = {"time": time, **({} if workers is None else {"workers": workers})}
    config = make_config({**stored.model_dump(), **changes})
    return SearchResult(execute_run(config, run, listener), run)


def open_run(run: Path | str) -> SearchResult:
    """Return the result of a finished run.

    Raises:
        LedgerError: the folder holds no answer.
    """
    return SearchResult(read_answer(Path(run)), Path(run))


def load(path: Path | str) -> Artifact:
    """Return the deployable model of an artifact folder, its checksums verified; needs no search code.

    Raises:
        ArtifactError: the folder is incomplete, changed, or of another version.
    """
    from automl.artifact.load import load_artifact

    return load_artifact(Path(path))


def export_member(run: Path, member: str, out: Path, *, to: str) -> Path:
    """Write a model of a run's front, ``best`` or an id, and return the file.

    Raises:
        LedgerError: the run has no such model.
        ConfigError: unknown format.
    """
    result = open_run(run)
    name = result.answer.best if member == "best" else member
    if name is None:
        raise LedgerError(
            f"{run} has no model within its hard budgets; name one by id, see: automl show {run}"
        )
    found = result.answer.member(name)
    if not found.artifact:
        raise LedgerError(
            f"model '{name}' of {run} has no artifact; choose one of the front: automl show {run}"
        )
    return FoundModel(found, run).export(out, to=to)


def bench_models(
    models: Sequence[str],
    *,
    data: str | None = None,
    target: str | None = None,
    repeats: int = 100,
    evaluation: int = 256,
    threads: int | None = None,
    batch: int = 1,
) -> list[tuple[str, Measurement]]:
    """Measure artifacts and untouched models again, interleaved; the first is the reference.

    They are served on ``target``; when None, on that of the first torch program among them, else on OpenVINO.

    Raises:
        AutomlError: a model, artifact or data cannot be used.
    """
    from automl.stages.bench import measure_side_by_side

    return measure_side_by_side(
        models, data=data, target=target, repeats=repeats, evaluation=evaluation, threads=threads, batch=batch
    )


def profile_model(
    request: ProfileRequest, *, cache: Path | None = None, html: Path | None = None
) -> ProfileData:
    """Return work, bound, estimated and measured time of every operator of a model.

    Args:
        request: model, device, runtime and shapes.
        cache: folder of tables shared by runs; the user's own when None.
        html: file to write table and roofline to; ``.svg`` for the picture alone.

    Raises:
        AutomlError: an input cannot be used.
    """
    from automl.artifact.profile_page import write_profile
    from automl.stages.folder import default_cache
    from automl.stages.profile_model import profile_model as run_profile

    found = run_profile(request, cache if cache is not None else default_cache())
    if html is not None:
        write_profile(found, html)
    return found
