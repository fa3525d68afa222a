"""From a decoded image to a model input."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from automl.core.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ImagePreprocessing", "normalize", "preprocess"]

_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True)
class ImagePreprocessing:
    """How an image becomes a model input: shorter side to ``size / crop_pct``, center crop, normalize.

    Args:
        size: (height, width) of the model input, pixels.
        crop_pct: part of the resized shorter side that the crop keeps, in (0, 1].
        mean: per channel, on the scale where white is 1; its length is the number of channels (1 or 3).
        std: per channel, on the same scale.
        interpolation: ``bilinear``, ``bicubic``, ``nearest`` or ``lanczos``.
    """

    size: tuple[int, int]
    crop_pct: float = 0.875
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    interpolation: str = "bicubic"

    @property
    def mode(self) -> str:
        """Pillow's mode for this number of channels."""
        return "L" if len(self.mean) == 1 else "RGB"

    @property
    def resampling(self) -> Image.Resampling:
        """Pillow's filter.

        Raises:
            DataError: the interpolation is unknown.
        """
        if self.interpolation not in _RESAMPLING:
            raise DataError(
                f"unknown interpolation '{self.interpolation}'; choose one of: {', '.join(_RESAMPLING)}"
            )
        return _RESAMPLING[self.interpolation]


def normalize(pixels: NDArray[np.uint8], how: ImagePreprocessing) -> NDArray[np.float32]:
    """Return (channels, height, width) float32 of one image (height, width[, channels]) of bytes."""
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    mean = np.asarray(how.mean, dtype=np.float32)
    std = np.asarray(how.std, dtype=np.float32)
    scaled = (pixels.astype(np.float32) / np.float32(255.0) - mean) / std
    return np.ascontiguousarray(scaled.transpose(2, 0, 1))


def preprocess(image: Image.Image, how: ImagePreprocessing) -> NDArray[np.float32]:
    """Return the model input of one image, (channels, height, width) float32.

    An image that already has the model's size is taken as it is: it was cropped before.
    """
    image = image.convert(how.mode)
    height, width = how.size
    if image.size != (width, height):
        tall, wide = math.floor(height / how.crop_pct), math.floor(width / how.crop_pct)
        factor = max(tall / image.height, wide / image.width)
        # Rounded down, as torchvision does, so that crops fall on the same pixels.
        resized = (max(wide, int(image.width * factor)), max(tall, int(image.height * factor)))
        image = image.resize(resized, how.resampling)
        left, top = round((image.width - width) / 2), round((image.height - height) / 2)
        image = image.crop((left, top, left + width, top + height))
    return normalize(np.asarray(image, dtype=np.uint8), how)
