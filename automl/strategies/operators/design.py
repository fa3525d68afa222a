"""First candidates of a search that knows nothing yet: uniform configurations and mixes of them."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from automl.searchspaces.space import SearchSpace

__all__ = ["mixed_design", "uniform_codes"]

#: Uniform configurations that are combined; a space with more of them has each kind moved alone.
_MOST = 16


def uniform_codes(space: SearchSpace) -> NDArray[np.int64]:
    """Return the codes in which every kind of decision takes one option at all sites that offer it.

    An option counts that at least half of the sites of its kind offer; where it is not offered the default
    stays. A kind without two such options is moved from the first to the last place of its options instead.
    All kinds are combined if that gives few codes, else each is moved alone. Shape (n, n_dimensions),
    repaired, without repeats.
    """
    levels: list[list[NDArray[np.int64]]] = []
    kinds = list(dict.fromkeys(d.kind for d in space.dimensions))
    owner = np.array([kinds.index(d.kind) for d in space.dimensions])
    for number in range(len(kinds)):
        columns = np.flatnonzero(owner == number)
        levels.append(_levels(space, columns))
    default = space.default_code
    if np.prod([float(len(rows)) for rows in levels]) <= _MOST:
        chosen = [list(rows) for rows in product(*levels)]
    else:
        still = [default[owner == number] for number in range(len(kinds))]
        chosen = [[*still[:k], row, *still[k + 1 :]] for k, rows in enumerate(levels) for row in rows]
    codes = np.tile(default, (len(chosen), 1))
    for code, rows in zip(codes, chosen, strict=True):
        for number, row in enumerate(rows):
            code[owner == number] = row
    found: NDArray[np.int64] = np.unique(space.repair(codes), axis=0)
    return found


def _levels(space: SearchSpace, columns: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the uniform settings of the decisions in ``columns``, (n_columns,) each."""
    dimensions = [space.dimensions[c] for c in columns]
    default = space.default_code[columns]
    options = dict.fromkeys(o for d in dimensions for o in d.options)
    rows = []
    for option in options:
        offered = np.array([option in d.options for d in dimensions])
        if 2 * offered.sum() >= len(columns):
            places = [d.index(option) if option in d.options else 0 for d in dimensions]
            rows.append(np.where(offered, places, default))
    if len(rows) < 2:
        rows = [np.zeros_like(default), space.cardinalities[columns] - 1]
    return rows


def mixed_design(space: SearchSpace, rng: np.random.Generator, count: int) -> NDArray[np.int64]:
    """Return ``count`` codes to begin with: uniform configurations, at most half, and then mixes of two.

    Codes drawn decision by decision all choose each option about equally often, so they cost about the
    same. In a mix of two uniform configurations the share of the second is drawn evenly from 0 to 1, one
    from each of as many equal parts as there are mixes, so that the whole range of costs is seen; which sites
    take it is random. A tenth of the decisions of a mix is set at random, for options that no uniform
    configuration has.

    Reference:
        McKay, Beckman, Conover, "A comparison of three methods for selecting values of input variables",
        1979: stratified draws of one variable, here of the share.

    Returns:
        Shape (count, n_dimensions), repaired; repeats are possible.
    """
    anchors = uniform_codes(space)
    others = anchors[(anchors != space.default_code).any(axis=1)]
    first = others[rng.permutation(len(others))[: count // 2]]
    mixes = count - len(first)
    shares = (rng.permutation(mixes) + rng.random(mixes)) / max(mixes, 1)
    codes = np.empty((mixes, len(space)), dtype=np.int64)
    for row, share in enumerate(shares):
        pair = rng.permutation(len(anchors))[:2]
        second = np.argsort(rng.random(len(space))) < share * len(space)
        codes[row] = np.where(second, anchors[pair[-1]], anchors[pair[0]])
    free = rng.random(codes.shape) < 0.1
    codes = np.where(free, space.sample(rng, mixes), codes)
    return np.concatenate([first, space.repair(codes)])
