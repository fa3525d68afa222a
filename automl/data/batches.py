"""Data from a DataLoader or any other iterable of batches."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import torch

from automl.core.errors import DataError
from automl.core.samples import Samples
from automl.data.source import Source
from automl.data.source import source_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from automl.data.source import ModelInputs

__all__ = ["batches"]

_LABEL_KEYS = ("labels", "label", "targets", "target")


def batches(loader: Iterable[Any], model: ModelInputs, wanted: int) -> Source:
    """Return the first ``wanted`` samples of an iterable of batches.

    A batch is a tensor, a sequence of the model's inputs with or without labels after them, or a mapping
    whose values are the inputs in order, labels under ``labels``, ``label``, ``targets`` or ``target``.
    Order and augmentation are the loader's: nothing is shuffled here.

    Raises:
        DataError: the loader is empty or a batch has another form.
    """
    count = len(model.example_inputs)
    columns: list[list[NDArray[np.generic]]] = [[] for _ in range(count)]
    labels: list[NDArray[np.int64]] = []
    found = 0
    for batch in loader:
        inputs, target = _parts(batch, count)
        for column, value in zip(columns, inputs, strict=True):
            column.append(_array(value))
        if target is not None:
            labels.append(_array(target).astype(np.int64))
        found += len(columns[0][-1])
        if found >= wanted:
            break
    if found == 0:
        raise DataError("the data loader gave no batch; give at least one sample")
    arrays = tuple(np.concatenate(column)[:wanted] for column in columns)
    if labels and (sum(map(len, labels)) != found or labels[0].ndim != 1):
        raise DataError("the data loader's labels must be one class number a sample; drop or repair them")
    numbers = np.concatenate(labels)[:wanted] if labels else None
    return source_of(Samples(arrays, numbers), f"{type(loader).__name__}")


def _parts(batch: Any, count: int) -> tuple[list[Any], Any]:
    """Return (inputs, labels or None) of one batch."""
    if isinstance(batch, Mapping):
        target = next((batch[k] for k in _LABEL_KEYS if k in batch), None)
        inputs = [v for k, v in batch.items() if k not in _LABEL_KEYS]
    elif isinstance(batch, (tuple, list)):
        inputs, target = list(batch[:count]), None
        if len(batch) == count + 1:
            target = batch[count]
        elif len(batch) != count:
            inputs = list(batch)
    else:
        inputs, target = [batch], None
    if len(inputs) != count:
        raise DataError(
            f"a batch of the data loader has {len(inputs)} inputs and the model takes {count}; give "
            "tensors, or "
            "tuples of the inputs with or without labels"
        )
    return inputs, target


def _array(value: Any) -> NDArray[Any]:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        return np.asarray(value.float() if value.is_floating_point() else value)
    array = np.asarray(value)
    if array.dtype.kind not in "fiub" or array.ndim == 0:
        raise DataError(
            f"a batch of the data loader holds a {type(value).__name__}; give tensors or arrays, batch first"
        )
    return array
