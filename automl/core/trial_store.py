"""Trials in little memory: each is packed into one string of bytes and made again when it is looked at.

As objects a trial of 200 dimensions takes about 3 kB, and a search holds all of its trials to its end.
"""

from __future__ import annotations

import json
import struct
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any
from typing import overload

import numpy as np

from automl.core.candidate import Candidate
from automl.core.measurement import Measurement
from automl.core.measurement import Metric
from automl.core.trial import Fidelity
from automl.core.trial import Trial
from automl.core.trial import TrialState

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Iterator

    from automl.core.candidate import Option

__all__ = ["TrialSequence", "TrialStore"]

_FIDELITIES = tuple(Fidelity)
_STATES = tuple(TrialState)
#: Seconds, digest, entry of the table of origins and metrics, fidelity, state.
_HEAD = struct.Struct("<dQIBB")


class TrialStore:
    """All trials of a run, numbered from 0.

    Args:
        dimensions: (name, options) of the space, in any order.
    """

    def __init__(self, dimensions: Sequence[tuple[str, tuple[Option, ...]]]) -> None:
        named = sorted(dimensions, key=lambda item: item[0])
        self._pairs = [[(name, option) for option in options] for name, options in named]
        self._positions = [(name, {option: i for i, option in enumerate(options)}) for name, options in named]
        widest = max((len(options) for _, options in named), default=1)
        #: Codes that share a byte.
        self._shared = 4 if widest <= 4 else 2 if widest <= 16 else 1
        self._code_type = np.dtype(np.uint8 if widest <= 256 else np.uint32)
        self._code_bytes = -(-len(named) // self._shared) * self._code_type.itemsize
        self._rows: list[bytes] = []
        # What hardly differs between trials is kept once: origin, and names and units of the metrics.
        self._kinds: dict[tuple[str, tuple[tuple[str, str], ...] | None], int] = {}
        self._kind_list: list[tuple[str, tuple[tuple[str, str], ...] | None]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def append(self, trial: Trial) -> None:
        """Keep a trial whose number is the next one.

        Raises:
            ValueError: its number is another, or its dimensions are not those of the space.
            KeyError: an option is not the space's.
        """
        if trial.number != len(self._rows):
            raise ValueError(f"trial {trial.number} is not the next one; the next number is {len(self)}")
        options = trial.candidate.assignment
        if len(options) != len(self._positions):
            raise ValueError(f"it has {len(options)} dimensions, the space has {len(self._positions)}")
        codes = [
            table[option] if known == name else _refuse(name)
            for (name, option), (known, table) in zip(options, self._positions, strict=True)
        ]
        measurement = trial.measurement
        names = None if measurement is None else tuple((k, m.unit) for k, m in measurement.items())
        kind = self._kinds.setdefault((trial.origin, names), len(self._kind_list))
        if kind == len(self._kind_list):
            self._kind_list.append((trial.origin, names))
        head = _HEAD.pack(
            trial.seconds,
            int(trial.candidate.digest, 16),
            kind,
            _FIDELITIES.index(trial.fidelity),
            _STATES.index(trial.state),
        )
        numbers = b""
        rest: list[Any] = [trial.failure]
        if measurement is not None:
            values = array("d", [v for m in measurement.values() for v in (m.value, m.low, m.high)])
            numbers = values.tobytes() + array("q", [m.n for m in measurement.values()]).tobytes()
            rest = [measurement.facts] if measurement.facts else []
        tail = json.dumps(rest, separators=(",", ":")).encode() if rest else b""
        self._rows.append(head + self._packed(codes) + numbers + tail)

    def __getitem__(self, number: int) -> Trial:
        """Return a trial, made anew.

        Raises:
            IndexError: there is no such trial.
        """
        if not 0 <= number < len(self._rows):
            raise IndexError(f"there is no trial {number}; numbers go from 0 to {len(self) - 1}")
        row = self._rows[number]
        seconds, digest, kind, fidelity, state = _HEAD.unpack_from(row)
        origin, names = self._kind_list[kind]
        codes = self._unpacked(row)
        pairs = tuple([options[code] for options, code in zip(self._pairs, codes, strict=True)])
        start = _HEAD.size + self._code_bytes
        measurement, failure = None, None
        if names is None:
            failure = json.loads(row[start:])[0]
        else:
            measurement = _measurement(row, start, names)
        return Trial(
            number,
            Candidate.trusted(pairs, f"{digest:016x}"),
            _STATES[state],
            _FIDELITIES[fidelity],
            measurement,
            failure,
            origin,
            seconds,
        )

    def identity(self, number: int) -> tuple[str, Fidelity]:
        """Return the digest of a trial's candidate and its fidelity, without making the trial."""
        _, digest, _, fidelity, _ = _HEAD.unpack_from(self._rows[number])
        return f"{digest:016x}", _FIDELITIES[fidelity]

    def view(self) -> TrialSequence:
        """Return the trials so far; it does not see those that come later."""
        return TrialSequence(self, range(len(self)))

    def _packed(self, codes: list[int]) -> bytes:
        row = np.array(codes, dtype=self._code_type)
        if self._shared > 1:
            padded = np.zeros(self._code_bytes * self._shared, dtype=np.uint8)
            padded[: len(row)] = row
            row = np.zeros(self._code_bytes, dtype=np.uint8)
            for place in range(self._shared):
                row |= padded[place :: self._shared] << (8 // self._shared * place)
        return row.tobytes()

    def _unpacked(self, row: bytes) -> list[int]:
        codes = np.frombuffer(row, self._code_type, self._code_bytes // self._code_type.itemsize, _HEAD.size)
        if self._shared > 1:
            bits = 8 // self._shared
            parts = [codes >> (bits * place) & (2**bits - 1) for place in range(self._shared)]
            codes = np.stack(parts, axis=1).ravel()[: len(self._pairs)]
        listed: list[int] = codes.tolist()
        return listed


class TrialSequence(Sequence["Trial"]):
    """Trials of a store; immutable, each made anew whenever it is looked at.

    Args:
        store: holds them.
        numbers: which of them, in order.
    """

    def __init__(self, store: TrialStore, numbers: Sequence[int]) -> None:
        self._store = store
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def identities(self) -> Iterator[tuple[str, Fidelity]]:
        """Yield digest and fidelity of each trial, much faster than the trials."""
        return (self._store.identity(number) for number in self._numbers)

    def of(self, numbers: Iterable[int]) -> TrialSequence:
        """Return the trials with some of the store's numbers."""
        return TrialSequence(self._store, array("q", numbers))

    @overload
    def __getitem__(self, index: int) -> Trial: ...
    @overload
    def __getitem__(self, index: slice) -> list[Trial]: ...
    def __getitem__(self, index: int | slice) -> Trial | list[Trial]:
        if isinstance(index, slice):
            return [self._store[number] for number in self._numbers[index]]
        return self._store[self._numbers[index]]

    def __iter__(self) -> Iterator[Trial]:
        return (self._store[number] for number in self._numbers)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str | bytes):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"TrialSequence({list(self)!r})"


def _refuse(name: str) -> int:
    raise KeyError(name)


def _measurement(row: bytes, start: int, names: tuple[tuple[str, str], ...]) -> Measurement:
    middle = start + 24 * len(names)
    end = middle + 8 * len(names)
    values, counts = array("d", row[start:middle]), array("q", row[middle:end])
    metrics = {
        name: Metric(values[3 * i], unit, values[3 * i + 1], values[3 * i + 2], counts[i])
        for i, (name, unit) in enumerate(names)
    }
    return Measurement(metrics, json.loads(row[end:])[0] if len(row) > end else {})
