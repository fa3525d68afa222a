"""What every kind of data offers: a number of samples, and reading those at given positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any
from typing import Protocol

from automl.core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from automl.core.samples import Samples
    from automl.data.preprocessing import ImagePreprocessing

__all__ = ["ModelInputs", "Source", "shape_text", "source_of"]


class ModelInputs(Protocol):
    """What data must know of a model; ``LoadedModel`` has it."""

    @property
    def name(self) -> str:
        """Short name for messages."""

    @property
    def task(self) -> Any:
        """``image-classification``, ``encoder``, ``causal-lm`` or ``generic``."""

    @property
    def example_inputs(self) -> tuple[torch.Tensor, ...]:
        """Inputs of batch 1 that the model accepts."""

    @property
    def image(self) -> ImagePreprocessing | None:
        """Preprocessing when the input is an image."""

    @property
    def tokenizer(self) -> Any:
        """A ``tokenizers.Tokenizer`` when the model reads text, else None."""

    @property
    def n_classes(self) -> int | None:
        """Outputs of the classification head."""


@dataclass(frozen=True, eq=False)
class Source:
    """Data that can be read in part.

    Args:
        name: what it is, for reports.
        count: number of samples.
        read: positions in [0, count) -> those samples, in that order.
        notes: sentences the user should see about it.
    """

    name: str
    count: int
    read: Callable[[NDArray[np.int64]], Samples]
    notes: tuple[str, ...] = ()


def source_of(samples: Samples, name: str, notes: tuple[str, ...] = ()) -> Source:
    """Return samples in memory as a source."""
    return Source(name, len(samples), samples.take, notes)


def shape_text(shape: tuple[int, ...]) -> str:
    """Return a shape as ``3x224x224``."""
    return "x".join(map(str, shape)) or "scalar"


def image_preprocessing(model: ModelInputs, what: str) -> ImagePreprocessing:
    """Return the model's preprocessing.

    Raises:
        DataError: the model takes no images.
    """
    if model.image is None:
        shapes = ", ".join(shape_text(tuple(t.shape)) for t in model.example_inputs)
        raise DataError(
            f"{what} holds images, but model '{model.name}' takes inputs of shape {shapes}; "
            "give an npz file with arrays input_0, input_1, ..."
        )
    return model.image
