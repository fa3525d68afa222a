"""Swaps that keep an additive cost: what one gene spends by a level another saves, as nearly as there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from automl.strategies.operators.mutation import Genes

__all__ = ["LevelCosts", "pinned_swap"]


@dataclass(frozen=True, eq=False)
class LevelCosts:
    """Additive costs of all options of all genes in one row, and which moves are one level.

    Args:
        columns: (n_options,), the gene of each option.
        options: (n_options,), the option's position within its gene.
        unary: (n_options,), its cost.
        starts: (n_dimensions,), where each gene's options begin.
        ordinal: (n_options,), whether the gene moves by single steps.
        pairwise: {(i, j): (n_options_i, n_options_j)} for i < j, further costs of two genes together.
    """

    columns: NDArray[np.int64]
    options: NDArray[np.int64]
    unary: NDArray[np.float64]
    starts: NDArray[np.int64]
    ordinal: NDArray[np.bool_]
    pairwise: Mapping[tuple[int, int], NDArray[np.float64]]

    @classmethod
    def of(
        cls,
        unary: tuple[NDArray[np.float64], ...],
        pairwise: Mapping[tuple[int, int], NDArray[np.float64]],
        genes: Genes,
    ) -> LevelCosts:
        """Return the costs of ``unary``, one array (n_options,) a gene, and ``pairwise``."""
        sizes = genes.cardinalities
        starts = np.cumsum(sizes) - sizes
        columns = np.repeat(np.arange(len(sizes)), sizes)
        options = np.arange(int(sizes.sum())) - starts[columns]
        return cls(columns, options, np.concatenate(unary), starts, genes.ordinal[columns], pairwise)

    def moves(self, code: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which options are one level from ``code``: a step, or any other option if nominal."""
        distance = np.abs(self.options - code[self.columns])
        allowed: NDArray[np.bool_] = (distance == 1) | (~self.ordinal & (distance > 0))
        return allowed

    def deltas(self, code: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return what the cost of ``code`` changes by when each option is taken alone, (n_options,)."""
        change: NDArray[np.float64] = self.unary - self.unary[self.starts + code][self.columns]
        for (i, j), values in self.pairwise.items():
            here = values[code[i], code[j]]
            at_i, at_j = self.starts[i], self.starts[j]
            change[at_i : at_i + values.shape[0]] += values[:, code[j]] - here
            change[at_j : at_j + values.shape[1]] += values[code[i], :] - here
        return change


class _Walk:
    """One child under way: its code, what it may still spend, and the genes that moved."""

    def __init__(
        self, code: NDArray[np.int64], costs: LevelCosts, room: float, rng: np.random.Generator
    ) -> None:
        self.code = code.copy()
        self.room = room
        self._costs = costs
        self._rng = rng
        self._moved = np.zeros(len(code), dtype=bool)

    def step(self, *, rise: bool, tight: bool) -> bool:
        """Move one gene that has not moved; return whether there was one.

        Args:
            rise: spend, or change at no cost; otherwise save.
            tight: among a random half of what fits (does not overspend, or saves enough), take what comes
                nearest to the room; when no saving is enough take the largest. Otherwise take any.
        """
        delta = self._costs.deltas(self.code)
        able = self._costs.moves(self.code) & ~self._moved[self._costs.columns]
        able &= (delta >= 0) if rise else (delta < 0)
        fits = able & (delta <= self.room)
        if not able.any() or (tight and rise and not fits.any()):
            return False
        if not tight:
            taken = int(self._rng.choice(np.flatnonzero(able)))
        elif fits.any():
            half = fits & (self._rng.random(len(delta)) < 0.5)
            taken = int(np.argmax(np.where(half if half.any() else fits, delta, -np.inf)))
        else:
            taken = int(np.argmin(np.where(able, delta, np.inf)))
        column = self._costs.columns[taken]
        self.code[column] = self._costs.options[taken]
        self.room -= float(delta[taken])
        self._moved[column] = True
        return True

    def lower(self) -> None:
        """Save until the cost fits or nothing is left to lower."""
        while self.room < 0 and self.step(rise=False, tight=True):
            pass

    def swap(self) -> None:
        """Raise a gene and pay with others, or lower one and spend on another; undone where that fails."""
        before = self.code.copy(), self.room, self._moved.copy()
        rise = bool(self._rng.random() < 0.5)
        self.step(rise=rise, tight=False)
        if not rise:
            self.step(rise=True, tight=True)
        self.lower()
        if self.room < 0:
            self.code, self.room, self._moved = before


def pinned_swap(
    code: NDArray[np.int64], costs: LevelCosts, room: float, rng: np.random.Generator, *, most: int = 3
) -> NDArray[np.int64]:
    """Return a changed copy of ``code`` that spends at most ``room`` more, and nearly all of it.

    A number of swaps is drawn, small ones more often. Each raises one gene a level and then lowers others
    until the cost fits, or lowers one and then raises another by as much as fits; no gene moves twice. A code
    that starts beyond its limit (``room`` negative) is first lowered, until it fits or nothing is left to
    lower. A swap that the other genes cannot pay for is taken back, so the code may come back unchanged.

    Args:
        code: (n_dimensions,).
        costs: the additive costs.
        room: what the code may still spend; negative when it overspends.
        rng: source of chance.
        most: the most swaps.

    Returns:
        The code, shape (n_dimensions,).

    Reference:
        "EvoPress: Towards Optimal Dynamic Model Compression via Evolutionary Search", arXiv 2410.14649, where
        the swapped genes cost the same; here a swap comes as near as the costs allow.
    """
    walk = _Walk(code, costs, room, rng)
    walk.lower()
    for _ in range(int(rng.integers(1, most + 1, size=2).min())):
        if walk.room < 0:
            break
        walk.swap()
    if rng.random() < 0.5:
        walk.step(rise=True, tight=True)
    return walk.code
