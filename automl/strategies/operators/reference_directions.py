"""Reference directions: points spread evenly over the unit simplex, in one layer or two."""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import TYPE_CHECKING

import numpy as np

from automl.core.errors import StrategyError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["das_dennis", "default_directions", "layered_directions", "n_directions"]

#: From this many objectives on a single layer has no inner point at any affordable size.
_LAYERED = 5


def n_directions(n_objectives: int, partitions: int) -> int:
    """Return the number of directions of :func:`das_dennis`: C(p + M - 1, M - 1) for M objectives."""
    return comb(partitions + n_objectives - 1, n_objectives - 1)


def das_dennis(n_objectives: int, partitions: int) -> NDArray[np.float64]:
    """Return every point of the unit simplex whose coordinates are multiples of ``1 / partitions``.

    Args:
        n_objectives: at least 1.
        partitions: steps along an edge, at least 1.

    Returns:
        Directions in lexicographic order, shape (n_directions, n_objectives); rows sum to 1.

    Raises:
        StrategyError: an argument is below 1.

    Reference:
        Das, Dennis, "Normal-boundary intersection", 1998.
    """
    if n_objectives < 1 or partitions < 1:
        raise StrategyError(
            f"reference directions for {n_objectives} objectives in {partitions} partitions do not exist; "
            "give at least 1 of each"
        )
    # stars and bars: the gaps between n_objectives - 1 bars on partitions + n_objectives - 1 places
    places = partitions + n_objectives - 1
    bars = np.array(list(combinations(range(places), n_objectives - 1)), dtype=np.int64)
    bars = bars.reshape(n_directions(n_objectives, partitions), n_objectives - 1)
    left = np.full((len(bars), 1), -1, dtype=np.int64)
    right = np.full((len(bars), 1), places, dtype=np.int64)
    stars = np.diff(np.concatenate([left, bars, right], axis=1), axis=1) - 1
    directions: NDArray[np.float64] = stars / partitions
    return directions


def layered_directions(n_objectives: int, outer: int, inner: int) -> NDArray[np.float64]:
    """Return an outer layer and an inner one shrunk halfway to the center; rows sum to 1.

    Args:
        n_objectives: at least 1.
        outer: partitions of the outer layer.
        inner: partitions of the inner layer; 0 for none.

    Returns:
        Directions, outer layer first, shape (n, n_objectives).

    Reference:
        Deb, Jain, "An evolutionary many-objective optimization algorithm using reference-point-based
        nondominated sorting approach, part I", 2014: beyond 4 objectives a single layer that has inner points
        has too many.
    """
    layers = [das_dennis(n_objectives, outer)]
    if inner:
        layers.append(0.5 * das_dennis(n_objectives, inner) + 0.5 / n_objectives)
    return np.concatenate(layers)


def default_directions(n_objectives: int, *, about: int = 100) -> NDArray[np.float64]:
    """Return the finest set of at most ``about`` directions: one layer up to 4 objectives, then two.

    Three objectives give 12 partitions and 91 directions. The coarsest set is returned when even that has
    more than ``about``; one objective has one direction.

    Args:
        n_objectives: at least 1.
        about: the most directions wanted.

    Returns:
        Directions, shape (n, n_objectives).
    """
    if n_objectives == 1:
        return das_dennis(1, 1)
    layered = n_objectives >= _LAYERED
    outer = 1
    while True:
        following = n_directions(n_objectives, outer + 1)
        following += n_directions(n_objectives, outer) if layered else 0
        if following > about:
            return layered_directions(n_objectives, outer, max(outer - 1, 1) if layered else 0)
        outer += 1
