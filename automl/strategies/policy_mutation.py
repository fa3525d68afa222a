"""Mutation by a trained policy, and the mixture of it with random mutation and a roulette."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from automl.strategies.episodes import Episodes
from automl.strategies.operators.dedup import code_keys

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from automl.searchspaces.space import SearchSpace
    from automl.strategies.operators.mutation import Genes
    from automl.strategies.operators.mutation import Mutation
    from automl.strategies.policy import Policy

__all__ = ["MixedMutation", "PolicyMutation", "drawn_spans"]


def drawn_spans(
    n: int, width: int, rng: np.random.Generator, *, whole: float = 0.1, largest: float = 0.25
) -> NDArray[np.bool_]:
    """Return which genes are decided anew: one contiguous block a row, at times all of them; (n, width).

    Args:
        n: rows.
        width: genes.
        rng: source of chance.
        whole: share of the rows where every gene is decided.
        largest: the longest block as a fraction of the genes; at least two genes where there are two.
    """
    length = rng.integers(1, min(width, max(2, int(width * largest))) + 1, size=(n, 1))
    start = rng.integers(0, width - length + 1)
    place = np.arange(width)[None, :]
    inside = (place >= start) & (place < start + length)
    return np.asarray(inside | (rng.random((n, 1)) < whole))


class PolicyMutation:
    """Decides a block of genes anew by a policy that reads the genes before it.

    Args:
        space: repairs what was decided.
        policy: an autoregressive policy of one context value.
        whole: share of the children that are the policy's from the first gene to the last.
        largest: see :func:`drawn_spans`.
    """

    def __init__(self, space: SearchSpace, policy: Policy, *, whole: float, largest: float) -> None:
        self._space = space
        self._policy = policy
        self._whole, self._largest = whole, largest
        self._played = Episodes.empty(len(space), 1)

    def __call__(self, codes: NDArray[np.int64], genes: Genes, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return the changed codes, and keep what was decided for :meth:`played`."""
        del genes
        n, width = codes.shape
        decide = drawn_spans(n, width, rng, whole=self._whole, largest=self._largest)
        contexts = np.ones((len(codes), 1), dtype=np.float32)
        children, logs = self._policy.sample(rng.random(codes.shape), contexts, kept=codes, decide=decide)
        keys = tuple(code_keys(self._space.repair(children)))
        new = np.zeros(len(codes), dtype=bool)
        self._played = self._played.joined(Episodes(keys, children, contexts, logs, decide, new))
        return children

    def played(self) -> Episodes:
        """Return the episodes since the last call."""
        episodes, self._played = self._played, Episodes.empty(len(self._space), 1)
        return episodes


class MixedMutation:
    """Gives every row to one of three mutations by chance.

    Which one is drawn from a generator of its own: where all rows go to the first, its chance and its
    children are the same as without this mixture.

    Args:
        plain: the random mutation.
        policy: the policy's.
        prior: the roulette.
        mix: their shares, which sum to 1.
        rng: draws the shares and feeds the policy and the roulette.
    """

    def __init__(
        self,
        plain: Mutation,
        policy: Mutation,
        prior: Mutation,
        mix: tuple[float, float, float],
        rng: np.random.Generator,
    ) -> None:
        self._plain, self._policy, self._prior = plain, policy, prior
        self._edges = np.cumsum(mix)[:2]
        self._rng = rng

    def __call__(self, codes: NDArray[np.int64], genes: Genes, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return the changed codes."""
        which = np.searchsorted(self._edges, self._rng.random(len(codes)), side="right")
        changed = codes.copy()
        changed[which == 0] = self._plain(codes[which == 0], genes, rng)
        for index, mutate in ((1, self._policy), (2, self._prior)):
            rows = which == index
            if rows.any():
                changed[rows] = mutate(codes[rows], genes, self._rng)
        return changed
