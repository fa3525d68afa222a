"""The search space: ordered dimensions and conditions, worked on as integer arrays; without torch."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from typing import NoReturn

import numpy as np

from automl.core.candidate import Candidate
from automl.core.errors import SpaceError
from automl.core.errors import unknown_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.core.candidate import Option
    from automl.searchspaces.dimension import Dimension

__all__ = ["Condition", "SearchSpace"]


@dataclass(frozen=True)
class Condition:
    """``dimension`` matters only while ``parent`` has one of ``values``; otherwise it is at its default."""

    dimension: str
    parent: str
    values: tuple[Option, ...]


@dataclass(frozen=True)
class SearchSpace:
    """Ordered dimensions with conditions.

    Codes are int64 arrays of option positions, shape (n_candidates, n_dimensions), columns in the order of
    ``dimensions``.

    Args:
        dimensions: in the model's execution order.
        conditions: activity conditions; a parent must come before its child.

    Raises:
        SpaceError: no dimension, a repeated name, or a condition that names no earlier dimension.
    """

    dimensions: tuple[Dimension, ...]
    conditions: tuple[Condition, ...] = ()

    def __post_init__(self) -> None:
        if not self.dimensions:
            raise SpaceError(
                "the search space has no dimension: the options that are allowed and legal on this target "
                "leave nothing to choose; allow others with --option, or choose another --target"
            )
        if len(self._position) != len(self.dimensions):
            raise SpaceError("dimension names must be unique")
        for condition in self.conditions:
            child, parent = self._index(condition.dimension), self._index(condition.parent)
            if parent >= child:
                raise SpaceError(
                    f"condition on {condition.dimension}: its parent {condition.parent} must come earlier"
                )
            for value in condition.values:
                self.dimensions[parent].index(value)

    @cached_property
    def _position(self) -> dict[str, int]:
        return {d.name: i for i, d in enumerate(self.dimensions)}

    def _index(self, name: str) -> int:
        if name not in self._position:
            raise SpaceError(unknown_name("dimension", name, self._position))
        return self._position[name]

    def __len__(self) -> int:
        return len(self.dimensions)

    @cached_property
    def cardinalities(self) -> NDArray[np.int64]:
        """Number of options of each dimension, shape (n_dimensions,)."""
        return np.array([len(d.options) for d in self.dimensions], dtype=np.int64)

    @property
    def log10_size(self) -> float:
        """Decimal logarithm of the number of assignments, conditions ignored."""
        return float(sum(math.log10(len(d.options)) for d in self.dimensions))

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that change with any dimension, option or condition."""
        rows = [[d.name, list(d.options), d.default, d.ordinal, list(d.sites)] for d in self.dimensions]
        rules = [[c.dimension, c.parent, list(c.values)] for c in self.conditions]
        return hashlib.sha256(json.dumps([rows, rules]).encode()).hexdigest()[:16]

    @cached_property
    def default_code(self) -> NDArray[np.int64]:
        """Code of the untouched model, shape (n_dimensions,); read-only, because everybody shares it."""
        code = np.array([d.index(d.default) for d in self.dimensions], dtype=np.int64)
        code.setflags(write=False)
        return code

    @property
    def default(self) -> Candidate:
        """The untouched model."""
        return self.decode(self.default_code)

    @cached_property
    def _pairs(self) -> list[tuple[int, list[tuple[str, Option]]]]:
        """Column and the (name, option) pairs of each dimension, by name; candidates share the pairs."""
        named = sorted(enumerate(self.dimensions), key=lambda item: item[1].name)
        return [(column, [(d.name, option) for option in d.options]) for column, d in named]

    @cached_property
    def _codes(self) -> dict[str, tuple[int, dict[Option, int]]]:
        return {
            d.name: (column, {option: i for i, option in enumerate(d.options)})
            for column, d in enumerate(self.dimensions)
        }

    def decode(self, code: NDArray[np.int64]) -> Candidate:
        """Return the candidate of one code, shape (n_dimensions,)."""
        positions = code.tolist()
        if len(positions) != len(self):
            raise SpaceError(f"a code of {len(positions)} columns does not fit {len(self)} dimensions")
        return Candidate.trusted(tuple([pairs[positions[column]] for column, pairs in self._pairs]))

    def encode(self, candidates: Sequence[Candidate]) -> NDArray[np.int64]:
        """Return codes, shape (n_candidates, n_dimensions).

        Raises:
            SpaceError: a candidate does not belong to this space.
        """
        table = self._codes
        codes = np.empty((len(candidates), len(self)), dtype=np.int64)
        for row, candidate in enumerate(candidates):
            try:
                found = [(*table[name], option) for name, option in candidate.assignment]
                positions = {column: options[option] for column, options, option in found}
            except KeyError:
                positions = {}
            if len(positions) != len(self):
                self._refuse(candidate)
            codes[row, list(positions)] = list(positions.values())
        return codes

    def _refuse(self, candidate: Candidate) -> NoReturn:
        """Raise SpaceError that says why a candidate does not belong to this space."""
        given = candidate.as_dict
        extra = set(given) - set(self._position)
        if extra:
            raise SpaceError(unknown_name("dimension", min(extra), self._position))
        for dimension in self.dimensions:
            if dimension.name not in given:
                raise SpaceError(
                    f"candidate lacks dimension {dimension.name}; give one of {dimension.options}"
                )
            dimension.index(given[dimension.name])
        raise SpaceError("candidate does not belong to this space; build it with decode")

    def validate(self, candidate: Candidate) -> None:
        """Raise SpaceError when ``candidate`` is not a repaired member of this space."""
        code = self.encode([candidate])
        if not np.array_equal(self.repair(code), code):
            raise SpaceError("an inactive dimension differs from its default; call repair first")

    def repair(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return a copy with codes clipped into range and inactive dimensions at their defaults."""
        fixed: NDArray[np.int64] = np.clip(codes, 0, self.cardinalities - 1)
        for condition in self.conditions:
            child, parent = self._index(condition.dimension), self._index(condition.parent)
            allowed = [self.dimensions[parent].index(v) for v in condition.values]
            inactive = ~np.isin(fixed[:, parent], allowed)
            fixed[inactive, child] = self.default_code[child]
        return fixed

    def sample(self, rng: np.random.Generator, count: int) -> NDArray[np.int64]:
        """Return ``count`` uniform codes, repaired; shape (count, n_dimensions)."""
        return self.repair(rng.integers(0, self.cardinalities, size=(count, len(self)), dtype=np.int64))

    def neighbours(self, code: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return all repaired codes that differ in one decision, without duplicates or ``code`` itself.

        Ordinal dimensions move one step; others take every other option. Shape (n_neighbours, n_dimensions).
        """
        rows = []
        for column, dimension in enumerate(self.dimensions):
            here = int(code[column])
            steps = [here - 1, here + 1] if dimension.ordinal else list(range(len(dimension.options)))
            for there in steps:
                if there != here and 0 <= there < len(dimension.options):
                    row = code.copy()
                    row[column] = there
                    rows.append(row)
        if not rows:
            return np.empty((0, len(self)), dtype=np.int64)
        moved = np.unique(self.repair(np.array(rows)), axis=0)
        others: NDArray[np.int64] = moved[~(moved == code).all(axis=1)]
        return others

    def uniform(self, kind: str, option: Option) -> Candidate:
        """Return the default with ``option`` wherever a dimension of ``kind`` offers it."""
        return Candidate.of(
            {d.name: option if d.kind == kind and option in d.options else d.default for d in self.dimensions}
        )

    def with_options(self, changes: Mapping[str, Option]) -> Candidate:
        """Return the default with ``changes`` applied.

        Raises:
            SpaceError: a name or option does not exist.
        """
        code = self.default_code.copy()
        for name, option in changes.items():
            column = self._index(name)
            code[column] = self.dimensions[column].index(option)
        return self.decode(self.repair(code[None])[0])
