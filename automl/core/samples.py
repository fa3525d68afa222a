"""Samples: model inputs as arrays, with labels when there are any."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from automl.core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["Samples"]


@dataclass(frozen=True, eq=False)
class Samples:
    """A set of model inputs held in memory.

    Args:
        inputs: one array per model input, each (n_samples, ...) and already in the form the model takes
            (images float32 NCHW normalized, tokens int64).
        labels: (n_samples,) class indices, or None.

    Raises:
        DataError: empty, of unequal lengths, or not finite.
    """

    inputs: tuple[NDArray[np.generic], ...]
    labels: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        if not self.inputs:
            raise DataError("samples need at least one input array; got none")
        lengths = {len(a) for a in self.inputs} | ({len(self.labels)} if self.labels is not None else set())
        if len(lengths) != 1:
            raise DataError(f"inputs and labels must have one common length; got lengths {sorted(lengths)}")
        if lengths == {0}:
            raise DataError("the data set is empty; give at least one sample")
        for array in self.inputs:
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise DataError("the data holds NaN or infinite values; clean the inputs first")

    def __len__(self) -> int:
        return len(self.inputs[0])

    def take(self, index: NDArray[np.int64] | slice) -> Samples:
        """Return the samples at ``index``."""
        return Samples(
            tuple(a[index] for a in self.inputs), None if self.labels is None else self.labels[index]
        )

    def batches(self, size: int) -> Iterator[tuple[NDArray[np.generic], ...]]:
        """Yield tuples of input arrays of at most ``size`` samples, in order."""
        for start in range(0, len(self), size):
            yield tuple(a[start : start + size] for a in self.inputs)

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that identify inputs and labels by content."""
        digest = hashlib.sha256()
        named = [("input", a) for a in self.inputs]
        if self.labels is not None:
            named.append(("label", self.labels))
        for name, array in named:
            digest.update(f"{name}{array.dtype}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]
