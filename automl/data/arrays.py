"""Data in npz files: images, or the model's inputs as they are."""

from __future__ import annotations

import re
import zipfile
import zlib
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
from PIL import Image

from automl.core.errors import DataError
from automl.core.samples import Samples
from automl.data.preprocessing import normalize
from automl.data.preprocessing import preprocess
from automl.data.source import Source
from automl.data.source import image_preprocessing

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from automl.data.source import ModelInputs

__all__ = ["npz_file"]

_DAMAGE = (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, KeyError)


def npz_file(path: Path, model: ModelInputs) -> Source:
    """Return the samples of an npz file.

    Arrays: ``images``, uint8 (n, height, width[, channels]) or float32 (n, channels, height, width) already
    normalized; or ``input_0``, ``input_1``, ... as the model takes them; and optionally ``labels`` (n,).

    Raises:
        DataError: the file is damaged, holds pickled objects, other arrays, or unequal lengths.
    """
    arrays = _load(path)
    labels = _labels(arrays.pop("labels", None), path)
    names = sorted((n for n in arrays if re.fullmatch(r"input_\d+", n)), key=lambda n: int(n[6:]))
    if "images" in arrays and not names:
        images = arrays["images"]
        if images.dtype == np.uint8:
            return _byte_images(path, images, labels, model)
        if images.dtype.kind != "f" or images.ndim != 4:
            raise DataError(
                f"'images' in '{path}' is {images.dtype} with {images.ndim} axes; it must be uint8 NHWC, or "
                "float32 "
                "NCHW already normalized"
            )
        inputs: tuple[NDArray[np.generic], ...] = (images,)
    elif names:
        inputs = tuple(arrays[n] for n in names)
    else:
        raise DataError(
            f"'{path}' holds {', '.join(sorted(arrays)) or 'no arrays'}; it must hold 'images' or 'input_0', "
            "'input_1', ..., and may hold 'labels'"
        )
    try:
        samples = Samples(inputs, labels)
    except DataError as error:
        raise DataError(f"'{path}': {error}") from error
    return Source(f"arrays in {path}", len(samples), samples.take)


def _load(path: Path) -> dict[str, NDArray[Any]]:
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise DataError(f"'{path}' is a single array; write it with numpy.savez(images=...)")
        with archive:
            return {name: archive[name] for name in archive.files}
    except _DAMAGE as error:
        if isinstance(error, DataError):
            raise
        reason = " ".join(str(error).split())[:120]
        raise DataError(f"'{path}' cannot be read as npz ({reason}); write it with numpy.savez") from error


def _labels(labels: NDArray[Any] | None, path: Path) -> NDArray[np.int64] | None:
    if labels is None:
        return None
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DataError(
            f"'labels' in '{path}' is {labels.dtype} with {labels.ndim} axes; it must be integers, one a "
            "sample"
        )
    return labels.astype(np.int64)


def _byte_images(
    path: Path, images: NDArray[np.uint8], labels: NDArray[np.int64] | None, model: ModelInputs
) -> Source:
    how = image_preprocessing(model, f"'{path}'")
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] not in (1, 3)):
        raise DataError(
            f"'images' in '{path}' has shape {images.shape}; uint8 images are (n, height, width, 1 or 3)"
        )
    if labels is not None and len(labels) != len(images):
        raise DataError(
            f"'{path}' holds {len(images)} images and {len(labels)} labels; give one label an image"
        )
    if len(images) == 0:
        raise DataError(f"'{path}' holds no images; give at least one")
    channels = len(how.mean)
    ready = images.shape[1:] in {(*how.size, channels), *([how.size] if channels == 1 else [])}

    def read(index: NDArray[np.int64]) -> Samples:
        batch = np.empty((len(index), channels, *how.size), dtype=np.float32)
        for row, position in enumerate(index):
            pixels = images[int(position)]
            if ready:
                batch[row] = normalize(pixels, how)
            else:
                gray = pixels.ndim == 3 and pixels.shape[2] == 1
                batch[row] = preprocess(Image.fromarray(pixels[..., 0] if gray else pixels), how)
        return Samples((batch,), None if labels is None else labels[index])

    return Source(f"images in {path}", len(images), read)
