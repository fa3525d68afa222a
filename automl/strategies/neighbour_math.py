"""Neighbours of a code by their additive price: one or two changed decisions, the least damage first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from automl.strategies.base import AdditiveTables

__all__ = ["move_deltas", "near_optimal_codes"]

#: Two-decision neighbours are formed from at most this many single moves.
_MOVES = 400


def move_deltas(
    tables: AdditiveTables,
    metric: str,
    code: NDArray[np.int64],
    columns: NDArray[np.int64],
    options: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return how the prediction of ``metric`` changes when ``code[columns[k]]`` becomes ``options[k]``.

    Args:
        tables: additive prices.
        metric: a priced metric.
        code: (n_dimensions,).
        columns: (n_moves,), the dimension each move changes.
        options: (n_moves,), the option it takes.

    Returns:
        Differences, shape (n_moves,), pair terms with the unchanged neighbours included.
    """
    unary = tables.unary[metric]
    pairs = list(zip(columns.tolist(), options.tolist(), strict=True))
    deltas = np.array([unary[i][a] - unary[i][code[i]] for i, a in pairs], dtype=np.float64)
    for (i, j), values in tables.pairwise.get(metric, {}).items():
        at_i, at_j = columns == i, columns == j
        deltas[at_i] += values[options[at_i], code[j]] - values[code[i], code[j]]
        deltas[at_j] += values[code[i], options[at_j]] - values[code[i], code[j]]
    return deltas


def near_optimal_codes(
    tables: AdditiveTables,
    code: NDArray[np.int64],
    minimize: str,
    limits: Mapping[str, float],
    *,
    count: int,
) -> NDArray[np.int64]:
    """Return up to ``count`` codes at one or two decisions from ``code`` within ``limits``, best first.

    Two-decision moves come from the 400 single moves that change the metric least, and are ranked by their
    summed differences; the limits are then checked by the full prediction. When the code itself breaks a
    limit, its excess is allowed.

    Args:
        tables: additive prices.
        code: (n_dimensions,), the optimum.
        minimize: the metric that ranks.
        limits: metric -> largest allowed prediction.
        count: number of codes wanted.

    Returns:
        Codes, shape (at most ``count``, n_dimensions).
    """
    sizes = [len(values) for values in tables.unary[minimize]]
    moves = [(i, a) for i, size in enumerate(sizes) for a in range(size) if a != code[i]]
    if not moves or count <= 0:
        return np.empty((0, len(code)), dtype=np.int64)
    columns, options = np.array(moves, dtype=np.int64).T
    harm = move_deltas(tables, minimize, code, columns, options)
    excess = {m: move_deltas(tables, m, code, columns, options) for m in limits}
    base = {m: float(tables.predict(m, code[None])[0]) for m in limits}
    room = {m: max(limit - base[m], 0.0) for m, limit in limits.items()}
    kept = np.sort(np.argsort(np.abs(harm), kind="stable")[:_MOVES])
    first, second = np.triu_indices(len(kept), k=1)
    first, second = kept[first], kept[second]
    apart = columns[first] != columns[second]
    first, second = first[apart], second[apart]
    fits_one = np.ones(len(columns), dtype=bool)
    fits_two = np.ones(len(first), dtype=bool)
    for metric, change in excess.items():
        slack = room[metric] + 1e-9 * max(1.0, abs(limits[metric]))
        fits_one &= change <= slack
        fits_two &= change[first] + change[second] <= slack
    ones, first, second = np.flatnonzero(fits_one), first[fits_two], second[fits_two]
    score = np.concatenate([harm[ones], harm[first] + harm[second]])
    # pair terms between the two moved dimensions are not in the score, so look at more than wanted
    order = np.argsort(score, kind="stable")[: 4 * count]
    codes = np.repeat(code[None], len(order), axis=0)
    for row, index in enumerate(order):
        pair = index - len(ones)
        chosen = [ones[index]] if pair < 0 else [first[pair], second[pair]]
        codes[row, columns[chosen]] = options[chosen]
    within = np.ones(len(codes), dtype=bool)
    for metric, limit in limits.items():
        largest = max(limit, base[metric])
        within &= tables.predict(metric, codes) <= largest + 1e-9 * max(1.0, abs(largest))
    codes = codes[within]
    best = np.argsort(tables.predict(minimize, codes), kind="stable")[:count]
    nearest: NDArray[np.int64] = codes[best]
    return nearest
