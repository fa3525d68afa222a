"""Models and data given as objects are kept beside the run folder, where workers and resume find them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from automl.core.errors import DataError
from automl.core.samples import Samples
from automl.stages.folder import free_folder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn

__all__ = ["keep_given"]

INPUTS = "given"

#: Samples taken from an iterable of batches.
MOST_SAMPLES = 4096


def keep_given(
    model: str | nn.Module,
    data: str | Path | Samples | Iterable[Any] | None,
    shapes: tuple[tuple[int, ...], ...],
    folder: Path | None,
) -> tuple[str, str | None, Path | None]:
    """Return model and data as names or files, and the run folder they were written beside.

    Args:
        model: a name or a module; a module is exported to ``NAME.given/model.pt2``.
        data: a path or None as it is; samples and batches are written to ``NAME.given/data.npz``.
        shapes: input shapes for a module that does not state its own.
        folder: the run folder asked for; None to choose one when something has to be kept.

    Raises:
        ModelError: the module cannot be exported.
        DataError: the batches are empty or are not arrays.
    """
    if isinstance(model, str) and (data is None or isinstance(data, (str, Path))):
        return model, None if data is None else str(data), folder
    name = model if isinstance(model, str) else type(model).__name__
    folder = folder or free_folder(name)
    place = folder.with_name(folder.name + ".given")
    place.mkdir(parents=True, exist_ok=True)
    spec = model if isinstance(model, str) else _keep_model(model, shapes, place / f"{name}.pt2")
    if data is None or isinstance(data, (str, Path)):
        return spec, None if data is None else str(data), folder
    samples = data if isinstance(data, Samples) else _collect(data)
    return spec, _keep_samples(samples, place / "data.npz"), folder


def _keep_model(module: nn.Module, shapes: tuple[tuple[int, ...], ...], file: Path) -> str:
    import torch

    from automl.models.loading import load_model
    from automl.searchspaces.trace import trace_model

    loaded = load_model(module, input_shapes=shapes or None)
    traced = trace_model(loaded.module, loaded.example_inputs)
    torch.export.save(traced.program, file)
    return str(file)


def _collect(batches: Iterable[Any]) -> Samples:
    inputs: list[list[np.ndarray[Any, Any]]] = []
    labels: list[np.ndarray[Any, Any]] = []
    count = 0
    for batch in batches:
        parts = batch if isinstance(batch, (tuple, list)) else (batch,)
        arrays = [np.asarray(p) for p in parts]
        if len(arrays) > 1 and arrays[-1].ndim == 1 and arrays[-1].dtype.kind in "iu":
            labels.append(arrays.pop().astype(np.int64))
        inputs.append(arrays)
        count += len(arrays[0])
        if count >= MOST_SAMPLES:
            break
    if not inputs:
        raise DataError("the data yields no batch; give a non-empty DataLoader or samples")
    columns = tuple(np.concatenate(column) for column in zip(*inputs, strict=True))
    return Samples(columns, np.concatenate(labels) if labels else None)


def _keep_samples(samples: Samples, file: Path) -> str:
    arrays = {f"input_{i}": a for i, a in enumerate(samples.inputs)}
    if samples.labels is not None:
        arrays["labels"] = samples.labels
    np.savez(file, allow_pickle=False, **arrays)
    return str(file)
