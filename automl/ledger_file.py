"""Files of the ledger: the writer's lock, and the check of a journal's lines."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import socket
import time
import uuid
from contextlib import contextmanager
from contextlib import suppress
from enum import IntEnum
from typing import TYPE_CHECKING
from typing import Any

import psutil

from automl.core.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "RECORD_KEY",
    "JournalOperation",
    "WriterLock",
    "cannot_write",
    "checked_entry",
    "checksum",
    "clear_journal_lock",
    "parsed_entry",
]

#: The user attribute that holds everything Optuna has no field for.
RECORD_KEY = "automl"
_sorted_json = json.JSONEncoder(sort_keys=True).encode


class JournalOperation(IntEnum):
    """Optuna's codes of the journal entries that a ledger reads or writes."""

    CREATE_STUDY = 0
    DELETE_STUDY = 1
    SET_STUDY_ATTRIBUTE = 2
    CREATE_TRIAL = 4


class WriterLock:
    """Keeps a second writer out: a file that names the process which holds it.

    The lock of a process that no longer runs is taken over.

    Args:
        path: the lock file.

    Raises:
        LedgerError: a running process, or one on another machine, holds it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        process = psutil.Process()
        owner = {"pid": process.pid, "started": process.create_time(), "host": socket.gethostname()}
        fresh = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
        try:
            fresh.write_text(json.dumps(owner), encoding="utf-8")
            try:
                self._acquire(fresh)
            finally:
                fresh.unlink(missing_ok=True)
        except OSError as error:
            raise LedgerError(cannot_write(path, error)) from error

    def _acquire(self, fresh: Path) -> None:
        # Takers go one at a time: between seeing that an owner is dead and removing its file, another taker
        # could otherwise have put its own there.
        with _held_folder(self._path.parent):
            with suppress(FileNotFoundError):
                _refuse_living(self._path, self._path.read_text(encoding="utf-8"))
            fresh.replace(self._path)

    def release(self) -> None:
        """Give the lock back; harmless when it is gone."""
        self._path.unlink(missing_ok=True)


@contextmanager
def _held_folder(folder: Path) -> Iterator[None]:
    """Hold the kernel's lock on a folder; it ends with this process at the latest."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _refuse_living(path: Path, text: str) -> None:
    """Raise LedgerError unless the lock's owner is known to have ended."""
    try:
        owner = json.loads(text)
        pid, started, host = int(owner["pid"]), float(owner["started"]), str(owner["host"])
    except (ValueError, KeyError, TypeError):
        return
    if host != socket.gethostname():
        raise LedgerError(
            f"{path} is held by process {pid} on machine '{host}', which cannot be checked from here; "
            "delete the file if that run has ended"
        )
    try:
        process = psutil.Process(pid)
        alive = process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - started) < 1.0
    except psutil.NoSuchProcess:
        return
    if alive:
        raise LedgerError(
            f"the run is being written by process {pid} ({path}); a run has one writer: "
            "wait for it or stop it first"
        )


def parsed_entry(line: bytes) -> dict[str, Any] | None:
    """Return the object that a line holds, or None."""
    try:
        entry = json.loads(line.decode())
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def checked_entry(path: Path, number: int, line: bytes) -> dict[str, Any]:
    """Return the entry that a journal's line holds, a trial's compared with its checksum.

    Args:
        path: the journal, for the message.
        number: of the line, from 1, likewise.
        line: with or without its line end.

    Raises:
        LedgerError: the line is damaged.
    """
    entry = parsed_entry(line)
    if entry is not None and isinstance(entry.get("op_code"), int) and "worker_id" in entry:
        trial = entry["op_code"] == JournalOperation.CREATE_TRIAL
        record = entry.get("user_attrs", {}).get(RECORD_KEY) if trial else None
        if record is None or record.get("check") == checksum(record):
            return entry
    raise LedgerError(
        f"{path} is damaged at line {number}: '{line[:40].decode(errors='replace')}' is not an intact entry; "
        "restore the file from a copy, or start the run in a new folder"
    )


def clear_journal_lock(path: Path) -> None:
    """Remove the lock a writer killed in mid-line leaves; wait a second for somebody who writes a note."""
    lock = path.with_name(path.name + ".lock")
    for _ in range(20):
        if not lock.is_symlink():
            return
        time.sleep(0.05)
    lock.unlink(missing_ok=True)


def cannot_write(where: Path | str, error: BaseException) -> str:
    """Return the sentence for a ledger that the system does not let us read or write."""
    reason = getattr(error, "strerror", None) or str(error).strip().partition("\n")[0]
    return (
        f"cannot read or write the ledger {where}: {reason}; what was recorded before is kept, "
        "free the disk or choose a writable folder, then resume"
    )


def checksum(record: Mapping[str, Any]) -> str:
    """Return 12 hexadecimal digits that change with any content of a record but its own ``check``."""
    content = {key: value for key, value in record.items() if key != "check"}
    return hashlib.sha256(_sorted_json(content).encode()).hexdigest()[:12]
