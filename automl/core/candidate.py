"""The candidate: a frozen assignment of one option to every dimension; the only thing that travels."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING

from automl.core.errors import SpaceError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Candidate", "Option"]

Option = str | int | float | bool


@dataclass(frozen=True)
class Candidate:
    """An assignment of options to dimensions.

    Args:
        assignment: pairs (dimension name, option), sorted by name, names unique.

    Raises:
        SpaceError: names are not sorted or not unique.
    """

    assignment: tuple[tuple[str, Option], ...]

    def __post_init__(self) -> None:
        names = [name for name, _ in self.assignment]
        if names != sorted(set(names)):
            raise SpaceError(
                "candidate dimensions must be sorted and unique; build it with Candidate.of(mapping)"
            )

    @classmethod
    def of(cls, mapping: Mapping[str, Option]) -> Candidate:
        """Return the candidate that assigns ``mapping``."""
        return cls(tuple(sorted(mapping.items())))

    @classmethod
    def trusted(cls, assignment: tuple[tuple[str, Option], ...], digest: str | None = None) -> Candidate:
        """Return a candidate without looking at it, which in a large space is most of the cost of making one.

        Args:
            assignment: known to be sorted by name, names unique.
            digest: its digest where it is known.
        """
        made = object.__new__(cls)
        made.__dict__["assignment"] = assignment
        if digest is not None:
            made.__dict__["digest"] = digest
        return made

    @classmethod
    def from_json(cls, text: str) -> Candidate:
        """Return the candidate written by :attr:`json`.

        Raises:
            SpaceError: the text is not a JSON object of scalars.
        """
        try:
            mapping = json.loads(text)
        except ValueError as error:
            raise SpaceError(f"a candidate must be a JSON object; cannot read {text[:80]!r}") from error
        if not isinstance(mapping, dict) or not all(isinstance(v, Option) for v in mapping.values()):
            raise SpaceError(
                f"a candidate must be a JSON object of scalars, dimension -> option; got {text[:80]!r}"
            )
        return cls.of(mapping)

    # Mapping and text are made on request: kept, they would be most of what a long search holds in memory.
    @property
    def as_dict(self) -> dict[str, Option]:
        """The assignment as a new mapping, in sorted order."""
        return dict(self.assignment)

    @property
    def json(self) -> str:
        """Canonical JSON: sorted keys, no white space."""
        return json.dumps(self.as_dict, sort_keys=True, separators=(",", ":"))

    @cached_property
    def digest(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.json.encode()).hexdigest()[:16]

    def __getitem__(self, name: str) -> Option:
        position = bisect_left(self.assignment, name, key=itemgetter(0))
        if position < len(self.assignment) and self.assignment[position][0] == name:
            return self.assignment[position][1]
        raise KeyError(name)
