"""Remember which codes were proposed, in memory that does not grow with the number of dimensions."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = ["SeenCodes", "code_keys"]


def code_keys(codes: NDArray[np.int64]) -> list[str]:
    """Return one 24-digit hexadecimal key a row of ``codes``, shape (n, n_dimensions)."""
    rows = np.ascontiguousarray(codes, dtype="<i8")
    return [hashlib.blake2b(row.tobytes(), digest_size=12).hexdigest() for row in rows]


class SeenCodes:
    """A set of codes kept as keys, in order of insertion.

    Args:
        keys: keys to start from, see :func:`code_keys`.
    """

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._keys = dict.fromkeys(keys)

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, codes: NDArray[np.int64]) -> None:
        """Remember every row."""
        self._keys.update(dict.fromkeys(code_keys(codes)))

    def fresh(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the rows that are neither remembered nor repeated, in their order; remembers nothing."""
        kept: dict[str, int] = {}
        for row, key in enumerate(code_keys(codes)):
            if key not in self._keys:
                kept.setdefault(key, row)
        return codes[list(kept.values())]

    @property
    def keys(self) -> list[str]:
        """The keys, in order of insertion."""
        return list(self._keys)
