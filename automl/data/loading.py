"""Load data for a model and split it into calibration and evaluation samples."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from automl.core.errors import DataError
from automl.core.rng import child_rng
from automl.core.samples import Samples
from automl.data.source import shape_text
from automl.data.source import source_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from automl.data.source import ModelInputs
    from automl.data.source import Source

__all__ = ["DataSplits", "load_data"]

_TEXT_SUFFIXES = frozenset({".txt", ".md", ".rst", ".text", ".tokens", ".raw", ".tsv", ".csv"})


@dataclass(frozen=True, eq=False)
class DataSplits:
    """Samples of one data set in two roles.

    Args:
        calibration: samples that ranges and sensitivities are taken from.
        evaluation: samples that quality is measured on, in random order, so that a prefix is a fair subset.
        name: where they came from.
        labelled: whether both carry labels.
        notes: sentences the user should see: overlaps, fewer samples than asked for, the embedded default.
    """

    calibration: Samples
    evaluation: Samples
    name: str
    labelled: bool
    notes: tuple[str, ...] = ()

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits over all samples of both roles."""
        both = f"{self.calibration.fingerprint}{self.evaluation.fingerprint}"
        return hashlib.sha256(both.encode()).hexdigest()[:16]


def load_data(
    spec: str | Samples | Iterable[Any] | None,
    model: ModelInputs,
    *,
    calibration: int,
    evaluation: int,
    seed: int,
) -> DataSplits:
    """Return calibration and evaluation samples for ``model``.

    Which samples are taken depends on ``seed`` only. The two sets are disjoint when the data holds enough
    samples; otherwise the evaluation set keeps its size as far as it can and shares samples with
    calibration, which a note says.

    Args:
        spec: an image folder, an ``.npz`` file, a text file, a folder of ``datasets.save_to_disk``, samples
            in
            memory, a DataLoader or other iterable of batches, or None for the embedded default.
        model: what the data must fit.
        calibration: number of calibration samples, at least 1.
        evaluation: number of evaluation samples, at least 1.
        seed: the run's seed.

    Raises:
        DataError: the data is missing, empty, damaged, or does not fit the model.
        MissingExtraError: the datasets package is needed and not installed.
    """
    if calibration < 1 or evaluation < 1:
        raise DataError(
            f"calibration={calibration} and evaluation={evaluation} samples: both must be at least 1"
        )
    source = _open(spec, model, calibration + evaluation, seed)
    notes = list(source.notes)
    order = child_rng(seed, "data").permutation(source.count)
    n_evaluation = min(evaluation, source.count)
    n_calibration = min(calibration, source.count)
    overlap = max(0, n_evaluation + n_calibration - source.count)
    if n_evaluation < evaluation or n_calibration < calibration:
        notes.append(
            f"{source.name} has {source.count} samples: {n_calibration} calibrate (of {calibration} wanted) "
            "and "
            f"{n_evaluation} evaluate (of {evaluation} wanted)"
        )
    if overlap:
        notes.append(
            f"{overlap} of the {n_calibration} calibration samples are also used for evaluation, because "
            f"{source.name} has only {source.count} samples"
        )
    first = _fit(source.read(order[:n_calibration]), model, source.name)
    second = _fit(source.read(order[source.count - n_evaluation :]), model, source.name)
    labelled = first.labels is not None and second.labels is not None
    return DataSplits(first, second, source.name, labelled, tuple(notes))


def _open(spec: str | Samples | Iterable[Any] | None, model: ModelInputs, wanted: int, seed: int) -> Source:
    # Each kind is imported when it is asked for: most runs need one of them.
    if spec is None:
        from automl.data.embedded import embedded

        return embedded(model, wanted, seed)
    if isinstance(spec, Samples):
        return source_of(spec, "samples in memory")
    if isinstance(spec, (str, Path)):
        return _open_path(Path(spec).expanduser(), model)
    if isinstance(spec, Iterable):
        from automl.data.batches import batches

        return batches(spec, model, wanted)
    raise DataError(
        f"data cannot be a {type(spec).__name__}; give a path, Samples, or an iterable of batches such as a "
        "DataLoader"
    )


def _open_path(path: Path, model: ModelInputs) -> Source:
    if not path.exists():
        raise DataError(
            f"data '{path}' does not exist; give an image folder, an .npz file, a text file or a folder of "
            "datasets.save_to_disk"
        )
    if path.is_dir():
        from automl.data.image_folder import image_folder
        from automl.data.saved_datasets import is_saved_dataset
        from automl.data.saved_datasets import saved_dataset

        return saved_dataset(path, model) if is_saved_dataset(path) else image_folder(path, model)
    if path.suffix == ".npz":
        from automl.data.arrays import npz_file

        return npz_file(path, model)
    if path.suffix.lower() in _TEXT_SUFFIXES:
        from automl.data.text import text_file

        return text_file(path, model)
    raise DataError(
        f"data '{path}' has the unknown type '{path.suffix}'; give an image folder, an .npz file, a text "
        "file "
        f"({', '.join(sorted(_TEXT_SUFFIXES))}) or a folder of datasets.save_to_disk"
    )


def _fit(samples: Samples, model: ModelInputs, name: str) -> Samples:
    """Return the samples in the model's types, checked against its shapes and classes."""
    wanted = [tuple(t.shape[1:]) for t in model.example_inputs]
    given = [a.shape[1:] for a in samples.inputs]
    if wanted != given:
        raise DataError(
            f"{name} has inputs of shape {', '.join(map(shape_text, given))} a sample and model "
            f"'{model.name}' takes "
            f"{', '.join(map(shape_text, wanted))}; give data of that shape, or the model another one with "
            "--input"
        )
    inputs = tuple(
        _as_type(a, t.is_floating_point(), name)
        for a, t in zip(samples.inputs, model.example_inputs, strict=True)
    )
    labels = samples.labels
    if labels is not None and model.n_classes is not None:
        wrong = labels[(labels < 0) | (labels >= model.n_classes)]
        if wrong.size:
            raise DataError(
                f"{name} has the label {int(wrong[0])} and model '{model.name}' has {model.n_classes} "
                "classes; labels "
                f"go from 0 to {model.n_classes - 1}"
            )
    return Samples(inputs, labels)


def _as_type(array: NDArray[np.generic], floating: bool, name: str) -> NDArray[np.generic]:
    if not floating and array.dtype.kind == "f":
        raise DataError(f"{name} has {array.dtype} inputs where the model takes integers; give token numbers")
    if floating and array.dtype.kind not in "fiub":
        raise DataError(f"{name} has {array.dtype} inputs where the model takes float32 numbers")
    return np.ascontiguousarray(array, dtype=np.float32 if floating else np.int64)
