"""Image folders: one folder a class, or all images in one folder without labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from PIL import UnidentifiedImageError

from automl.core.errors import DataError
from automl.core.samples import Samples
from automl.data.preprocessing import preprocess
from automl.data.source import Source
from automl.data.source import image_preprocessing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from automl.data.preprocessing import ImagePreprocessing
    from automl.data.source import ModelInputs

__all__ = ["IMAGE_SUFFIXES", "image_folder"]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm"})


def image_folder(folder: Path, model: ModelInputs) -> Source:
    """Return the images below ``folder``, decoded only when read.

    With class folders, the i-th folder in sorted order is class i; when every name is an integer, the
    integer is the class. Images directly in ``folder`` are unlabelled.

    Raises:
        DataError: no images, both layouts at once, classes that do not fit the model's head, or, when read,
            an
            image that cannot be decoded.
    """
    how = image_preprocessing(model, f"'{folder}'")
    flat = _images(folder)
    classes = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    by_class = {p: _images(p) for p in classes}
    if flat and any(by_class.values()):
        raise DataError(
            f"'{folder}' holds images beside folders of images; use one folder a class, or no folders at all"
        )
    if flat:
        return Source(f"images in {folder}", len(flat), lambda index: _read(flat, None, index, how))
    if not any(by_class.values()):
        kinds = ", ".join(sorted(IMAGE_SUFFIXES))
        raise DataError(f"'{folder}' holds no images ({kinds}); give a folder of images or of class folders")
    empty = next((p for p, files in by_class.items() if not files), None)
    if empty is not None:
        raise DataError(f"the class folder '{empty}' holds no images; fill it or remove it")
    numbers = _class_numbers([p.name for p in classes], model, folder)
    files = [file for p in classes for file in by_class[p]]
    labels = np.repeat(numbers, [len(by_class[p]) for p in classes])
    return Source(f"labelled images in {folder}", len(files), lambda index: _read(files, labels, index, how))


def _images(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())


def _class_numbers(names: Sequence[str], model: ModelInputs, folder: Path) -> NDArray[np.int64]:
    n_classes = model.n_classes
    if all(name.isdecimal() for name in names):
        numbers = [int(name) for name in names]
        if len(set(numbers)) != len(numbers):
            raise DataError(f"two class folders in '{folder}' mean the same number; rename one of them")
        worst = max(numbers)
        if n_classes is not None and worst >= n_classes:
            raise DataError(
                f"the class folder '{worst}' in '{folder}' is beyond the {n_classes} classes of model "
                f"'{model.name}'; folder numbers go from 0 to {n_classes - 1}"
            )
        return np.asarray(numbers, dtype=np.int64)
    if n_classes is not None and len(names) != n_classes:
        raise DataError(
            f"'{folder}' has {len(names)} class folders and model '{model.name}' has {n_classes} classes; "
            "give one "
            f"folder for each class, or name the folders by class number from 0 to {n_classes - 1}"
        )
    return np.arange(len(names), dtype=np.int64)


def _read(
    files: Sequence[Path],
    labels: NDArray[np.int64] | None,
    index: NDArray[np.int64],
    how: ImagePreprocessing,
) -> Samples:
    channels = len(how.mean)
    batch = np.empty((len(index), channels, *how.size), dtype=np.float32)
    for row, position in enumerate(index):
        batch[row] = preprocess(_open(files[int(position)]), how)
    return Samples((batch,), None if labels is None else labels[index])


def _open(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            image.load()
            return image.copy()
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split())[:120]
        raise DataError(f"the image '{path}' cannot be read ({reason}); repair or remove it") from error
