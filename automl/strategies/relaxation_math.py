"""Relaxed decisions: shares of the options of every dimension, what they cost, and a budget term."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "Multilinear",
    "budget_pull",
    "gumbel_noise",
    "logit_slopes",
    "padded",
    "relaxed_shares",
]


def padded(rows: Sequence[Floats], width: int) -> Floats:
    """Return one row a dimension, (n_dimensions, width), zeros where a dimension has fewer options."""
    table = np.zeros((len(rows), width))
    for index, row in enumerate(rows):
        table[index, : len(row)] = row
    return table


def relaxed_shares(logits: Floats, offered: NDArray[np.bool_], temperature: float) -> Floats:
    """Return softmax(logits / temperature) over the offered options; shape of ``logits``.

    Args:
        logits: (..., n_dimensions, width).
        offered: which options there are, (n_dimensions, width), at least one a dimension.
        temperature: above 0; the lower, the nearer every dimension is to one option.
    """
    scaled = np.where(offered, logits / temperature, -np.inf)
    weights = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    shares: Floats = weights / weights.sum(axis=-1, keepdims=True)
    return shares


def logit_slopes(shares: Floats, slopes: Floats, temperature: float = 1.0) -> Floats:
    """Return the derivative by the logits where ``slopes`` is that by the shares; shape of both."""
    centred = slopes - (shares * slopes).sum(axis=-1, keepdims=True)
    result: Floats = shares * centred / temperature
    return result


def gumbel_noise(uniforms: Floats) -> Floats:
    """Return Gumbel(0, 1) numbers by inversion of uniforms in [0, 1).

    The largest of ``logits + noise`` is then a draw from softmax(logits), and a softmax of it at a low
    temperature is a draw that can be differentiated.

    Reference:
        Jang, Gu, Poole, "Categorical Reparameterization with Gumbel-Softmax", arXiv 1611.01144.
    """
    tiny = np.finfo(np.float64).tiny
    return np.asarray(-np.log(-np.log(np.maximum(uniforms, tiny))))


@dataclass(frozen=True, eq=False)
class Multilinear:
    """A metric that is additive in decisions and pairs of them, averaged over independent decisions.

    Args:
        unary: (n_dimensions, width).
        pairs: (i, j) -> (width of i's options, width of j's options).
        constant: added to all.
    """

    unary: Floats
    pairs: Mapping[tuple[int, int], Floats] = field(default_factory=dict)
    constant: float = 0.0

    def average(self, shares: Floats) -> tuple[Floats, Floats]:
        """Return the average and its derivative by the shares: (k,), (k, n_dimensions, width).

        The decisions are drawn independently with ``shares`` (k, n_dimensions, width), so the average is
        exact and equals the metric itself where every share is 0 or 1.
        """
        slopes = np.broadcast_to(self.unary, shares.shape).copy()
        values = self.constant + np.einsum("kdo,do->k", shares, self.unary)
        for (i, j), table in self.pairs.items():
            rows, columns = table.shape
            left, right = shares[:, i, :rows], shares[:, j, :columns]
            by_left = right @ table.T
            values = values + (left * by_left).sum(axis=1)
            slopes[:, i, :rows] += by_left
            slopes[:, j, :columns] += left @ table
        return values, slopes

    def at(self, codes: NDArray[np.int64]) -> Floats:
        """Return the metric of codes (n, n_dimensions); shape (n,)."""
        total = self.constant + self.unary[np.arange(len(self.unary)), codes].sum(axis=1)
        for (i, j), table in self.pairs.items():
            total = total + table[codes[:, i], codes[:, j]]
        return np.asarray(total)

    def plus(self, unary: Floats, constant: float) -> Multilinear:
        """Return this metric with effects of single decisions added, (n_dimensions, width)."""
        return Multilinear(self.unary + unary, self.pairs, self.constant + constant)

    def bounds(self, offered: NDArray[np.bool_]) -> tuple[float, float]:
        """Return numbers that no code goes below and above; exact where there are no pairs."""
        low = np.where(offered, self.unary, np.inf).min(axis=1).sum()
        high = np.where(offered, self.unary, -np.inf).max(axis=1).sum()
        low += sum(float(t.min()) for t in self.pairs.values())
        high += sum(float(t.max()) for t in self.pairs.values())
        return float(self.constant + low), float(self.constant + high)


def budget_pull(excess: Floats, multiplier: Floats, stiffness: Floats) -> Floats:
    """Return the derivative of the budget term by the excess, never negative; shape of ``excess``.

    The term is the augmented Lagrangian of ``excess <= 0``,
    ``(max(0, multiplier + stiffness * excess)^2 - multiplier^2) / (2 * stiffness)``. Setting the multiplier
    to this number from time to time makes the excess vanish at a finite stiffness, which a penalty of a fixed
    weight does not: it settles beyond the budget or pays for room that is left unused.

    Args:
        excess: over the limit, in units of choice.
        multiplier: at least 0.
        stiffness: above 0.

    Reference:
        Rockafellar, "The multiplier method of Hestenes and Powell applied to convex programming", 1973. In
        the place of FCPTS's term of fixed weight, arXiv 2405.05808.
    """
    return np.maximum(multiplier + stiffness * excess, 0.0)
