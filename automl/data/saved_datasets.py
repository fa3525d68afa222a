"""Hugging Face datasets saved to disk: images or text, with labels when there are any."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from automl.core.errors import DataError
from automl.core.errors import MissingExtraError
from automl.core.samples import Samples
from automl.data.preprocessing import preprocess
from automl.data.source import Source
from automl.data.source import image_preprocessing
from automl.data.text import text_source

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from automl.data.source import ModelInputs

__all__ = ["is_saved_dataset", "saved_dataset"]

_SPLITS = ("validation", "valid", "val", "test", "train")
_LABEL_NAMES = ("label", "labels", "fine_label", "class")


def is_saved_dataset(folder: Path) -> bool:
    """Return whether ``datasets.save_to_disk`` wrote this folder."""
    return (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()


def saved_dataset(folder: Path, model: ModelInputs) -> Source:
    """Return a data set that ``datasets.save_to_disk`` wrote.

    Of several splits the first of validation, test and train is used. The column of images is found by its
    type, text by the first string column (``text`` and ``sentence`` before others), labels by their type or
    name.

    Raises:
        MissingExtraError: the datasets package is not installed.
        DataError: the folder is damaged, or has no column of images or text.
    """
    try:
        datasets = importlib.import_module("datasets")
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"'{folder}' is a Hugging Face data set, which needs the datasets package; run: "
            'pip install "automl[datasets]"'
        ) from error
    try:
        table: Any = datasets.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:120]
        raise DataError(f"'{folder}' cannot be loaded as a data set ({reason}); save it again") from error
    notes: tuple[str, ...] = ()
    if isinstance(table, dict):
        if not table:
            raise DataError(f"the data set '{folder}' has no split; save it again")
        split = next((s for s in _SPLITS if s in table), next(iter(table)))
        notes = (f"of the data set's splits {', '.join(table)}, '{split}' is used",)
        table = table[split]
    if len(table) == 0:
        raise DataError(f"the data set '{folder}' is empty; give at least one sample")
    kinds = {name: type(feature).__name__ for name, feature in table.features.items()}
    labels = next((n for n, k in kinds.items() if k == "ClassLabel"), None)
    labels = labels or next((n for n in _LABEL_NAMES if n in kinds), None)
    images = next((n for n, k in kinds.items() if k == "Image"), None)
    if images is not None:
        how = image_preprocessing(model, f"'{folder}'")

        def read(index: NDArray[np.int64]) -> Samples:
            rows = [table[int(i)] for i in index]
            batch = np.stack([preprocess(row[images], how) for row in rows])
            numbers = None if labels is None else np.asarray([row[labels] for row in rows], dtype=np.int64)
            return Samples((batch,), numbers)

        return Source(f"data set {folder}", len(table), read, notes)
    texts = [n for n, f in table.features.items() if getattr(f, "dtype", "") in {"string", "large_string"}]
    if not texts:
        raise DataError(
            f"the data set '{folder}' has the columns {', '.join(kinds)}; it must have one of images or of "
            "text"
        )
    column = next((n for n in ("text", "sentence") if n in texts), texts[0])
    found = text_source(list(table[column]), model, str(folder))
    return Source(f"data set {folder}", found.count, found.read, notes)
