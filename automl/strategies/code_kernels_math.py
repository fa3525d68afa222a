"""How alike codes are: inner products of indicators of decisions, of their pairs and of what is used."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.core.candidate import Option
    from automl.searchspaces.space import SearchSpace

__all__ = ["KERNELS", "CodeKernels"]

#: By single decisions, by neighboring pairs, by all pairs, by how much each option is used over the sites.
KERNELS = ("single", "near", "pairs", "usage")
#: Neighbors with more joint options than this are compared by loops, which then is cheaper than a product.
_JOINT = 16


@dataclass(frozen=True, eq=False)
class CodeKernels:
    """Kernels on the codes of one space.

    Three of them count shared options: single decisions, neighboring pairs of decisions, and all pairs, which
    is the square of the first. They are 1 for equal codes. The fourth is for an effect that an option has
    wherever it is chosen: the product of how often codes choose it, each decision weighing in by the root of
    its relevance. A unit of it moves a metric as far as a unit of the first when all effects agree.

    Args:
        cardinalities: options of each decision, (n_dimensions,).
        groups: the number of what each option of each decision is, one after another,
            (sum of cardinalities,): options that are the same thing at several sites share a number from 0,
            others have -1.
    """

    cardinalities: NDArray[np.int64]
    groups: NDArray[np.int64]

    @classmethod
    def of(cls, space: SearchSpace) -> CodeKernels:
        """Return the kernels of ``space``: options of one kind with one value are the same thing."""
        named = [(d.kind, option) for d in space.dimensions for option in d.options]
        often = Counter(named)
        numbers: dict[tuple[str, Option], int] = {}
        groups = [numbers.setdefault(n, len(numbers)) if often[n] > 1 else -1 for n in named]
        return cls(space.cardinalities, np.array(groups, dtype=np.int64))

    @classmethod
    def plain(cls, cardinalities: Sequence[int]) -> CodeKernels:
        """Return kernels of decisions whose options with equal places are the same thing."""
        places = np.concatenate([np.arange(c, dtype=np.int64) for c in cardinalities])
        return cls(np.asarray(cardinalities, dtype=np.int64), places)

    def __call__(
        self, a: NDArray[np.int64], b: NDArray[np.int64], weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the kernels of :data:`KERNELS` between ``a`` and ``b``, one after another.

        Args:
            a: codes, (n, n_dimensions).
            b: codes, (m, n_dimensions).
            weights: relevance of each decision, (n_dimensions,), sums to 1.

        Returns:
            Shape (4, n, m).
        """
        single = self._single(a, b, weights)
        return np.stack([single, self._near(a, b, weights), single**2, self._shared(a, b, weights)])

    def mixed(
        self,
        a: NDArray[np.int64],
        b: NDArray[np.int64],
        weights: NDArray[np.float64],
        mix: Sequence[float],
    ) -> NDArray[np.float64]:
        """Return the kernels added up by their shares, (n, m); those without share cost nothing."""
        single = self._single(a, b, weights)
        total = single * (mix[0] + mix[2] * single)
        if mix[1]:
            total += mix[1] * self._near(a, b, weights)
        if mix[3]:
            total += mix[3] * self._shared(a, b, weights)
        return total

    def diagonal(
        self, codes: NDArray[np.int64], weights: NDArray[np.float64], mix: Sequence[float]
    ) -> NDArray[np.float64]:
        """Return :meth:`mixed` of every code with itself, (n,)."""
        own = np.full(len(codes), sum(mix[:3]))
        if mix[3]:
            own += mix[3] * (self.use(codes, weights) ** 2).sum(axis=1)
        return own

    def use(self, codes: NDArray[np.int64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how much each code uses each group of options, (n, n_groups)."""
        first = np.cumsum(self.cardinalities) - self.cardinalities
        width = int(self.groups.max(initial=-1)) + 2
        # the first column is for options that are the only ones of their kind
        place = np.arange(len(codes))[:, None] * width + 1 + self.groups[codes + first]
        root = np.broadcast_to(np.sqrt(weights), place.shape)
        sums = np.bincount(place.ravel(), weights=root.ravel(), minlength=len(codes) * width)
        counts = np.asarray(sums, dtype=np.float64)
        return counts.reshape(len(codes), width)[:, 1:]

    def _single(
        self, a: NDArray[np.int64], b: NDArray[np.int64], weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the kernel of single decisions, (n, m)."""
        own = _indicators(a, self.cardinalities) * np.repeat(weights, self.cardinalities)
        return own @ _indicators(b, self.cardinalities).T

    def _shared(
        self, a: NDArray[np.int64], b: NDArray[np.int64], weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the kernel of use, (n, m)."""
        return self.use(a, weights) @ self.use(b, weights).T

    def _near(
        self, a: NDArray[np.int64], b: NDArray[np.int64], weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the kernel of neighboring pairs, (n, m), weighted by the root of both relevances."""
        if len(weights) < 2:
            return self._single(a, b, weights)
        joint = np.sqrt(weights[:-1] * weights[1:])
        joint = joint / joint.sum() if joint.sum() > 0 else np.full(len(joint), 1.0 / len(joint))
        both = self.cardinalities[:-1] * self.cardinalities[1:]
        pair_a = a[:, :-1] * self.cardinalities[1:] + a[:, 1:]
        pair_b = b[:, :-1] * self.cardinalities[1:] + b[:, 1:]
        few = both <= _JOINT
        own = _indicators(pair_a[:, few], both[few]) * np.repeat(joint[few], both[few])
        near: NDArray[np.float64] = own @ _indicators(pair_b[:, few], both[few]).T
        for column in np.flatnonzero(~few):
            near += joint[column] * (pair_a[:, column, None] == pair_b[None, :, column])
        return near


def _indicators(codes: NDArray[np.int64], cardinalities: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return a column for each option of each decision, (n, sum of cardinalities)."""
    hot = np.zeros((len(codes), int(cardinalities.sum())))
    first = np.cumsum(cardinalities) - cardinalities
    hot[np.arange(len(codes))[:, None], codes + first] = 1.0
    return hot
