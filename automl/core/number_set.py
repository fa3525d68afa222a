"""A set of trial numbers that takes a byte a number."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Iterator

__all__ = ["NumberSet"]


class NumberSet:
    """A growing set of small integers, at least 0; a set of Python's takes 70 bytes for each."""

    def __init__(self) -> None:
        self._flags = bytearray()
        self._count = 0

    def add(self, number: int) -> None:
        """Take a number in; again does nothing.

        Raises:
            IndexError: it is negative.
        """
        if number < 0:
            raise IndexError(f"number {number} is negative; trials are numbered from 0")
        if number >= len(self._flags):
            self._flags.extend(bytes(number + 1 - len(self._flags)))
        self._count += not self._flags[number]
        self._flags[number] = 1

    def update(self, numbers: Iterable[int]) -> None:
        """Take several numbers in."""
        for number in numbers:
            self.add(number)

    def __contains__(self, number: int) -> bool:
        return 0 <= number < len(self._flags) and bool(self._flags[number])

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        """Yield the numbers from the smallest."""
        return (number for number, flag in enumerate(self._flags) if flag)
