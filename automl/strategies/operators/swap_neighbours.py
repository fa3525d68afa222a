"""Neighbours two decisions away that trade: one gene rises a level where another falls one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from automl.strategies.operators.mutation import Genes

__all__ = ["swap_neighbours"]


def _moves(
    code: NDArray[np.int64], genes: Genes, direction: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (columns, options) of the single moves one step up or down; every other option if nominal."""
    columns: list[int] = []
    options: list[int] = []
    for column, (here, cards, ordinal) in enumerate(
        zip(code.tolist(), genes.cardinalities.tolist(), genes.ordinal.tolist(), strict=True)
    ):
        there = [here + direction] if ordinal else [o for o in range(cards) if o != here]
        for option in there:
            if 0 <= option < cards:
                columns.append(column)
                options.append(option)
    return np.array(columns, dtype=np.int64), np.array(options, dtype=np.int64)


def swap_neighbours(
    code: NDArray[np.int64], genes: Genes, rng: np.random.Generator, *, most: int
) -> NDArray[np.int64]:
    """Return codes where one gene rises one option and another falls one, or either changes if nominal.

    Args:
        code: (n_dimensions,).
        genes: the dimensions.
        rng: draws which ones are returned when there are more than ``most``, and their order.
        most: the most pairs drawn.

    Returns:
        Distinct codes in random order, shape (at most ``most``, n_dimensions).
    """
    up_columns, up_options = _moves(code, genes, 1)
    down_columns, down_options = _moves(code, genes, -1)
    total = len(up_columns) * len(down_columns)
    if total == 0 or most < 1:
        return np.empty((0, len(code)), dtype=np.int64)
    chosen = rng.choice(total, size=min(most, total), replace=False)
    up, down = np.divmod(chosen, len(down_columns))
    apart = up_columns[up] != down_columns[down]
    up, down = up[apart], down[apart]
    codes = np.repeat(code[None], len(up), axis=0)
    rows = np.arange(len(up))
    codes[rows, up_columns[up]] = up_options[up]
    codes[rows, down_columns[down]] = down_options[down]
    # two nominal genes meet twice, once in each role
    _, first = np.unique(codes, axis=0, return_index=True)
    return codes[np.sort(first)]
