"""Crossover on codes: mix two parents gene by gene, between cut points, or by one contiguous block.

Dimensions come in the model's execution order, so contiguous genes are neighbouring layers: cuts and blocks
keep together what one parent does to a stretch of the model, which matters when borders between options cost
time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "BlockCrossover",
    "Crossover",
    "KPointCrossover",
    "UniformCrossover",
    "block_crossover",
    "k_point_crossover",
    "uniform_crossover",
]


class Crossover(Protocol):
    """Mixes parents ``a`` and ``b``, both (n, n_dimensions), into children of the same shape."""

    def __call__(
        self, a: NDArray[np.int64], b: NDArray[np.int64], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Return the children."""


def uniform_crossover(
    a: NDArray[np.int64], b: NDArray[np.int64], rng: np.random.Generator, *, probability: float = 0.5
) -> NDArray[np.int64]:
    """Return ``a`` with each gene taken from ``b`` with ``probability``; shape (n, n_dimensions)."""
    return np.where(rng.random(a.shape) < probability, b, a)


def k_point_crossover(
    a: NDArray[np.int64], b: NDArray[np.int64], rng: np.random.Generator, *, points: int = 2
) -> NDArray[np.int64]:
    """Return children that switch between ``a`` and ``b`` at ``points`` random cuts, (n, n_dimensions)."""
    n, genes = a.shape
    cuts = rng.integers(0, genes + 1, size=(n, points))
    passed = (np.arange(genes)[None, :, None] >= cuts[:, None, :]).sum(axis=2)
    return np.where(passed % 2 == 1, b, a)


def block_crossover(
    a: NDArray[np.int64], b: NDArray[np.int64], rng: np.random.Generator, *, largest: float = 0.5
) -> NDArray[np.int64]:
    """Return ``a`` with one contiguous block of ``b``, of at most ``largest`` of the genes, at least one."""
    n, genes = a.shape
    length = rng.integers(1, max(1, int(genes * largest)) + 1, size=(n, 1))
    start = rng.integers(0, genes - length + 1)
    place = np.arange(genes)[None, :]
    return np.where((place >= start) & (place < start + length), b, a)


@dataclass(frozen=True)
class UniformCrossover:
    """See :func:`uniform_crossover`."""

    probability: float = 0.5

    def __call__(
        self, a: NDArray[np.int64], b: NDArray[np.int64], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Return the children."""
        return uniform_crossover(a, b, rng, probability=self.probability)


@dataclass(frozen=True)
class KPointCrossover:
    """See :func:`k_point_crossover`."""

    points: int = 2

    def __call__(
        self, a: NDArray[np.int64], b: NDArray[np.int64], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Return the children."""
        return k_point_crossover(a, b, rng, points=self.points)


@dataclass(frozen=True)
class BlockCrossover:
    """See :func:`block_crossover`."""

    largest: float = 0.5

    def __call__(
        self, a: NDArray[np.int64], b: NDArray[np.int64], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Return the children."""
        return block_crossover(a, b, rng, largest=self.largest)
