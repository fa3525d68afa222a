"""A study in Optuna's journal format, read in one pass and written a line a trial.

Optuna's own journal storage keeps every trial in memory, about 4 kB each, and reads every line it has just
written. Here a trial is forgotten as soon as it is handed on. What is written is what Optuna writes, so its
storages and the dashboard open the journal as it is.
"""

from __future__ import annotations

import threading
import uuid
from contextlib import suppress
from datetime import UTC
from functools import cache
from typing import TYPE_CHECKING
from typing import Any
from typing import Protocol

from optuna.distributions import distribution_to_json
from optuna.distributions import json_to_distribution
from optuna.storages.journal import JournalFileBackend

from automl.ledger_file import RECORD_KEY
from automl.ledger_file import JournalOperation
from automl.ledger_file import checked_entry
from automl.ledger_file import parsed_entry
from automl.ledger_study import StoredTrial

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Mapping
    from collections.abc import Sequence
    from pathlib import Path

    from optuna.study import StudyDirection

    from automl.core.candidate import Option

__all__ = ["FileLines", "JournalStudy", "Lines"]


class Lines(Protocol):
    """The entries of a journal in order."""

    #: Whether an entry that is handed out was compared with its checksum.
    checked: bool
    #: What was repaired, or None.
    repair: str | None

    def new(self) -> Iterator[dict[str, Any]]:
        """Yield the entries that were not handed out yet."""

    def append(self, entry: Mapping[str, Any]) -> None:
        """Write an entry; it is kept when this returns."""


class FileLines:
    """The lines of a journal file; the file is made when it is missing.

    Args:
        path: the file.
        mend: whether to repair the torn last line that a killed writer leaves: one that lacks only its line
            end is kept, any other is cut off. A reader leaves it out instead.
    """

    checked = True

    def __init__(self, path: Path, *, mend: bool = False) -> None:
        self._path = path
        self._mend = mend
        self._backend = JournalFileBackend(str(path))
        self._offset = self._number = 0
        self.repair: str | None = None

    def new(self) -> Iterator[dict[str, Any]]:
        """Yield the entries that were not handed out yet.

        Raises:
            LedgerError: a line is damaged; it is named.
            OSError: the file cannot be read or mended.
        """
        torn = b""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    torn = line
                    break
                entry = checked_entry(self._path, self._number + 1, line)
                self._number += 1
                self._offset += len(line)
                yield entry
        if torn and self._mend:
            yield from self._mended(torn)

    def _mended(self, torn: bytes) -> Iterator[dict[str, Any]]:
        if parsed_entry(torn) is not None:
            entry = checked_entry(self._path, self._number + 1, torn)
            with self._path.open("ab") as file:
                file.write(b"\n")
            self.repair = f"line {self._number + 1} of {self._path.name} lacked its line end"
            self._number += 1
            self._offset += len(torn) + 1
            yield entry
            return
        with self._path.open("r+b") as file:
            file.truncate(self._offset)
        self.repair = (
            f"line {self._number + 1} of {self._path.name} was torn after {len(torn)} bytes and cut off"
        )

    def append(self, entry: Mapping[str, Any]) -> None:
        """Write and sync a line.

        Raises:
            OSError: the file cannot be written; the half line that a full disk left is cut off.
        """
        # From here on a line without its end is one that somebody is writing.
        self._mend = False
        size = self._path.stat().st_size
        try:
            self._backend.append_logs([dict(entry)])
        except BaseException:
            # Where that fails, too, the next opening repairs the torn line.
            with suppress(OSError), self._path.open("r+b") as file:
                file.truncate(size)
            raise


class JournalStudy:
    """One study of a journal.

    Args:
        lines: the journal's entries.
        name: of the study.
    """

    def __init__(self, lines: Lines, name: str) -> None:
        self._lines = lines
        self._name = name
        self._writer = f"{uuid.uuid4()}-{threading.get_ident()}"
        self._studies: dict[int, str] = {}
        self._made = 0
        self._id: int | None = None
        self._attributes: dict[str, Any] = {}
        self._count = 0
        self._unread: Iterator[dict[str, Any]] = iter(())
        self._first: StoredTrial | None = None
        self._latest: StoredTrial | None = None

    @property
    def repair(self) -> str | None:
        """What was repaired while the trials were read."""
        return self._lines.repair

    def find(self) -> bool:
        """Return whether the study exists; reads up to its first trial."""
        self._unread = self._lines.new()
        for entry in self._unread:
            self._first = self._apply(entry)
            if self._first is not None:
                break
        return self._id is not None

    def create(self, directions: Sequence[StudyDirection]) -> None:
        """Make the study."""
        self._write(
            JournalOperation.CREATE_STUDY, study_name=self._name, directions=[int(d) for d in directions]
        )
        self._catch_up()

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The study's attributes as far as the journal was read."""
        return dict(self._attributes)

    @property
    def has_trials(self) -> bool:
        """Whether there is a first trial."""
        return self._first is not None or self._count > 0

    def set_attribute(self, key: str, value: Any) -> None:
        """Set one of the study's attributes."""
        self._write(JournalOperation.SET_STUDY_ATTRIBUTE, study_id=self._id, user_attr={key: value})
        self._catch_up()

    def trials(self) -> Iterator[StoredTrial]:
        """Yield all trials in order, once, after :meth:`find`."""
        first, self._first = self._first, None
        if first is not None:
            yield first
        for entry in self._unread:
            stored = self._apply(entry)
            if stored is not None:
                yield stored

    def add(self, frozen: Any) -> int:
        """Append a finished Optuna trial and return the number it got."""
        began, ended = (
            None if moment is None else moment.astimezone(UTC).isoformat(timespec="microseconds")
            for moment in (frozen.datetime_start, frozen.datetime_complete)
        )
        values = frozen.values
        self._write(
            JournalOperation.CREATE_TRIAL,
            study_id=self._id,
            datetime_start=began,
            state=int(frozen.state),
            value=values[0] if values is not None and len(values) == 1 else None,
            values=values if values is not None and len(values) > 1 else None,
            datetime_complete=ended,
            distributions={name: distribution_to_json(d) for name, d in frozen.distributions.items()},
            params={
                name: frozen.distributions[name].to_internal_repr(option)
                for name, option in frozen.params.items()
            },
            user_attrs=frozen.user_attrs,
            system_attrs=frozen.system_attrs,
            intermediate_values=frozen.intermediate_values,
        )
        return self._catch_up()

    def stored(self, number: int) -> StoredTrial | None:
        """Return the trial that was added last if it has this number."""
        self._catch_up()
        latest = self._latest
        return latest if latest is not None and latest.number == number else None

    def _write(self, operation: JournalOperation, **fields: Any) -> None:
        self._lines.append({"op_code": int(operation), "worker_id": self._writer, **fields})

    def _catch_up(self) -> int:
        """Read what was written since and return the number of the last trial of this writer, -1 for none."""
        number = -1
        for entry in self._lines.new():
            stored = self._apply(entry)
            if stored is not None:
                self._latest = stored
                if entry["worker_id"] == self._writer:
                    number = stored.number
        return number

    def _apply(self, entry: Mapping[str, Any]) -> StoredTrial | None:
        """Take an entry in; return the trial that it adds to this study.

        Entries about trials that exist are notes of the dashboard, and no part of the record.
        """
        operation = entry["op_code"]
        if operation == JournalOperation.CREATE_STUDY:
            if entry["study_name"] not in self._studies.values():
                self._studies[self._made] = entry["study_name"]
                self._id = self._made if entry["study_name"] == self._name else self._id
                self._made += 1
        elif operation == JournalOperation.DELETE_STUDY:
            self._studies.pop(entry["study_id"], None)
            if entry["study_id"] == self._id:
                self._id, self._attributes, self._count = None, {}, 0
        elif entry.get("study_id") != self._id or self._id is None:
            return None
        elif operation == JournalOperation.SET_STUDY_ATTRIBUTE:
            self._attributes.update(entry["user_attr"])
        elif operation == JournalOperation.CREATE_TRIAL:
            return self._trial(entry)
        return None

    def _trial(self, entry: Mapping[str, Any]) -> StoredTrial:
        number, self._count = self._count, self._count + 1
        choices = {name: _choices(text) for name, text in entry.get("distributions", {}).items()}
        params = {name: choices[name][int(i)] for name, i in entry.get("params", {}).items() if choices[name]}
        record = entry.get("user_attrs", {}).get(RECORD_KEY)
        return StoredTrial(number, record, params, choices, self._lines.checked)


@cache
def _choices(text: str) -> tuple[Option, ...]:
    """Return the options that a distribution's text lists; empty for one of numbers."""
    distribution = json_to_distribution(text)
    return tuple(getattr(distribution, "choices", ()))
