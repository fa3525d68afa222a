"""Draw members of a space that were not proposed before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from automl.searchspaces.space import SearchSpace
    from automl.strategies.operators.dedup import SeenCodes

__all__ = ["enumerate_codes", "sample_fresh"]

#: Spaces up to this many assignments are listed when drawing at random keeps hitting known codes.
_LISTED = 65_536
_ROUNDS = 40


def enumerate_codes(space: SearchSpace) -> NDArray[np.int64]:
    """Return every member of ``space`` once, in lexicographic order; shape (n_members, n_dimensions)."""
    grids = np.indices(tuple(int(c) for c in space.cardinalities), dtype=np.int64)
    codes: NDArray[np.int64] = np.unique(space.repair(grids.reshape(len(space), -1).T), axis=0)
    return codes


def sample_fresh(
    space: SearchSpace, rng: np.random.Generator, count: int, seen: SeenCodes
) -> NDArray[np.int64]:
    """Return up to ``count`` distinct random codes outside ``seen``; fewer only when hardly any are left.

    Uniform by rejection (so uniform over assignments, before repair), 40 rounds at most. A space of at most
    65,536 assignments is listed after that and drawn from without replacement, so that it is always
    exhausted; listing it costs as much as thousands of draws.

    Returns:
        Codes, shape (at most ``count``, n_dimensions); nothing is added to ``seen``.
    """
    found = np.empty((0, len(space)), dtype=np.int64)
    small = space.log10_size <= np.log10(_LISTED) + 1e-9
    for _ in range(_ROUNDS):
        if len(found) >= count:
            break
        drawn = space.sample(rng, count - len(found))
        found = seen.fresh(np.concatenate([found, drawn]))
    if len(found) < count and small:
        left = seen.fresh(enumerate_codes(space))
        known = {row.tobytes() for row in found}
        left = left[[row.tobytes() not in known for row in left]]
        drawn = left[rng.permutation(len(left))[: count - len(found)]]
        found = np.concatenate([found, drawn])
    return found[:count]
