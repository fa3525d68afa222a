"""The traced and exported model of a run, from the cache when this model was traced before."""

from __future__ import annotations

import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from automl.core.errors import ArtifactError
from automl.core.errors import ModelError
from automl.models.exported import load_program
from automl.searchspaces.graph import ModelGraph
from automl.searchspaces.trace import restore_traced
from automl.searchspaces.trace import trace_model
from automl.stages.stored import stored_name
from automl.stages.stored import trim
from automl.targets.base_onnx_file import load_base
from automl.targets.base_onnx_file import save_base
from automl.targets.onnx_export import OPSET
from automl.targets.onnx_export import export_onnx

if TYPE_CHECKING:
    from collections.abc import Callable

    from automl.models.loaded import LoadedModel
    from automl.searchspaces.graph import TracedModel
    from automl.targets.onnx_export import BaseOnnx

__all__ = ["PROGRAM_FILE", "store_traced", "trace_and_export", "traced_folder"]

#: What goes wrong when a pair is stored: a full disk, another process that was first, a program that
#: torch cannot serialize.
UNSTORABLE = (OSError, RuntimeError, ValueError, TypeError, KeyError, AssertionError, NotImplementedError)

#: The exported program inside the folder of a traced model.
PROGRAM_FILE = "program.pt2"

_GRAPH = "graph.json"


def trace_and_export(
    model: LoadedModel, cache: Path, on_step: Callable[[str], None]
) -> tuple[TracedModel, BaseOnnx]:
    """Return the traced model and its ONNX graph.

    A stored pair is used when model, shapes and the versions of what made it are the same and its program
    still computes what the model computes. Anything else about it that is wrong makes it be written anew.

    Args:
        model: the loaded model.
        cache: folder of tables shared by runs.
        on_step: told ``trace`` and ``export`` when they begin.

    Raises:
        ModelError: the model cannot be traced or exported.
    """
    folder = traced_folder(cache, model)
    on_step("trace")
    if folder.is_dir():
        try:
            pair = _read(folder, model)
        except (ArtifactError, ModelError):
            shutil.rmtree(folder, ignore_errors=True)
        else:
            on_step("export")
            return pair
    traced = trace_model(model.module, model.example_inputs)
    on_step("export")
    base = export_onnx(traced)
    store_traced(folder, traced, base)
    return traced, base


def traced_folder(cache: Path, model: LoadedModel) -> Path:
    """Return where a cache keeps the traced and exported form of a model."""
    versions = [f"{name} {version(name)}" for name in ("torch", "onnx", "onnxscript")]
    return cache / "traced" / stored_name(*versions, str(OPSET), model.fingerprint, repr(model.input_shapes))


def _read(folder: Path, model: LoadedModel) -> tuple[TracedModel, BaseOnnx]:
    try:
        graph = ModelGraph.from_json((folder / _GRAPH).read_text(encoding="utf-8"))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{folder / _GRAPH} cannot be read ({error}); trace the model again") from error
    base = load_base(folder)
    traced = restore_traced(
        model.module,
        model.example_inputs,
        load_program(folder / PROGRAM_FILE),
        graph,
        dynamic_batch=base.dynamic_batch,
    )
    folder.touch()
    return traced, base


def store_traced(folder: Path, traced: TracedModel, base: BaseOnnx) -> None:
    """Store the pair under a temporary name and rename it; a cache that cannot be written is done without."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=folder.parent, suffix=".part"))
    except OSError:
        return
    try:
        torch.export.save(traced.program, part / PROGRAM_FILE)
        (part / _GRAPH).write_text(traced.graph.to_json(), encoding="utf-8")
        save_base(part, base)
        part.rename(folder)
    except UNSTORABLE:
        shutil.rmtree(part, ignore_errors=True)
        return
    trim(folder.parent)
