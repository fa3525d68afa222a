"""Mutation on codes: single genes, contiguous blocks, and swaps that keep the total level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from automl.searchspaces.space import SearchSpace

__all__ = [
    "BlockMutation",
    "GeneMutation",
    "Genes",
    "Mutation",
    "SwapMutation",
    "block_mutation",
    "gene_mutation",
    "swap_mutation",
]


@dataclass(frozen=True, eq=False)
class Genes:
    """What a mutation must know of the dimensions.

    Args:
        cardinalities: number of options, (n_dimensions,).
        ordinal: whether neighbouring options are neighbours in meaning, (n_dimensions,).
    """

    cardinalities: NDArray[np.int64]
    ordinal: NDArray[np.bool_]

    @classmethod
    def of(cls, space: SearchSpace) -> Genes:
        """Return the genes of ``space``."""
        return cls(space.cardinalities, np.array([d.ordinal for d in space.dimensions], dtype=bool))


class Mutation(Protocol):
    """Changes codes (n, n_dimensions) and returns codes of the same shape, within the cardinalities."""

    def __call__(self, codes: NDArray[np.int64], genes: Genes, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return the changed codes."""


def _redraw(
    codes: NDArray[np.int64], genes: Genes, rng: np.random.Generator, steps: float
) -> NDArray[np.int64]:
    """Return another option for every gene: with probability ``steps`` a step if ordinal, else any other."""
    cards = np.broadcast_to(genes.cardinalities, codes.shape)
    jump = rng.integers(1, np.maximum(cards, 2))
    anywhere = (codes + jump) % cards
    sign = np.where(rng.random(codes.shape) < 0.5, 1, -1)
    moved = codes + sign
    moved = np.where((moved < 0) | (moved >= cards), codes - sign, moved)
    stepped = np.clip(moved, 0, cards - 1)
    use_step = genes.ordinal[None, :] & (rng.random(codes.shape) < steps)
    return np.where(use_step, stepped, anywhere)


def gene_mutation(
    codes: NDArray[np.int64],
    genes: Genes,
    rng: np.random.Generator,
    *,
    expected: float = 1.0,
    steps: float = 0.8,
) -> NDArray[np.int64]:
    """Return codes with on average ``expected`` genes changed, at least one a row where a choice exists.

    Args:
        codes: (n, n_dimensions).
        genes: the dimensions.
        rng: source of chance.
        expected: mean number of changed genes a row; each gene changes with ``expected / n_free``.
        steps: probability that an ordinal gene moves one step instead of being redrawn.
    """
    free = np.flatnonzero(genes.cardinalities > 1)
    if free.size == 0 or len(codes) == 0:
        return codes.copy()
    chosen = np.zeros(codes.shape, dtype=bool)
    chosen[:, free] = rng.random((len(codes), free.size)) < expected / free.size
    chosen[np.arange(len(codes)), free[rng.integers(0, free.size, size=len(codes))]] = True
    return np.where(chosen, _redraw(codes, genes, rng, steps), codes)


def block_mutation(
    codes: NDArray[np.int64], genes: Genes, rng: np.random.Generator, *, largest: float = 0.25
) -> NDArray[np.int64]:
    """Return codes with one contiguous block of genes set to one drawn option (clipped where it has fewer).

    Args:
        codes: (n, n_dimensions).
        genes: the dimensions.
        rng: source of chance.
        largest: the longest block as a fraction of the genes; at least two genes where there are two.
    """
    n, width = codes.shape
    longest = min(width, max(2, int(width * largest)))
    length = rng.integers(1, longest + 1, size=(n, 1))
    start = rng.integers(0, width - length + 1)
    place = np.arange(width)[None, :]
    level = rng.integers(0, int(genes.cardinalities.max()), size=(n, 1))
    inside = (place >= start) & (place < start + length)
    return np.where(inside, np.minimum(level, genes.cardinalities - 1), codes)


def swap_mutation(
    codes: NDArray[np.int64], genes: Genes, rng: np.random.Generator, *, most: int = 2
) -> NDArray[np.int64]:
    """Return codes where up to ``most`` genes rise one option and up to ``most`` others fall one.

    A candidate at a budget stays near it: what one dimension spends another saves. Rows where nothing can
    rise or nothing can fall get only the possible half.

    Args:
        codes: (n, n_dimensions).
        genes: the dimensions.
        rng: source of chance.
        most: largest number of genes that move in each direction; both numbers are drawn, at least 1.

    Reference:
        "EvoPress: Towards Optimal Dynamic Model Compression via Evolutionary Search", arXiv 2410.14649.
        There the two genes cost the same; here costs are unknown to the operator, and selection keeps the
        budget.
    """
    up, down = rng.integers(1, most + 1, size=len(codes)), rng.integers(1, most + 1, size=len(codes))
    order = rng.random(codes.shape)
    can_rise, can_fall = codes < genes.cardinalities - 1, codes > 0
    rises = _lowest(np.where(can_rise, order, np.inf), up)
    falls = _lowest(np.where(can_fall & ~rises, rng.random(codes.shape), np.inf), down)
    return codes + rises - falls


def _lowest(keys: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return a mask of the ``counts[row]`` smallest finite keys of each row."""
    largest = min(int(counts.max(initial=0)), keys.shape[1])
    mask = np.zeros(keys.shape, dtype=np.int64)
    if largest == 0:
        return mask.astype(bool)
    columns = np.argpartition(keys, largest - 1, axis=1)[:, :largest]
    rows = np.arange(len(keys))[:, None]
    columns = columns[rows, np.argsort(keys[rows, columns], axis=1)]
    wanted = (np.arange(largest)[None, :] < counts[:, None]) & np.isfinite(keys[rows, columns])
    mask[rows, columns] = wanted
    return mask.astype(bool)


@dataclass(frozen=True)
class GeneMutation:
    """See :func:`gene_mutation`."""

    expected: float = 1.0
    steps: float = 0.8

    def __call__(self, codes: NDArray[np.int64], genes: Genes, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return the changed codes."""
        return gene_mutation(codes, genes, rng, expected=self.expected, steps=self.steps)


@dataclass(frozen=True)
class BlockMutation:
    """See :func:`block_mutation`."""

    largest: float = 0.25

    def __call__(self, codes: NDArray[np.int64], genes: Genes, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return the changed codes."""
        return block_mutation(codes, genes, rng, largest=self.largest)


@dataclass(frozen=True)
class SwapMutation:
    """See :func:`swap_mutation`."""

    most: int = 2

    def __call__(self, codes: NDArray[np.int64], genes: Genes, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return the changed codes."""
        return swap_mutation(codes, genes, rng, most=self.most)
