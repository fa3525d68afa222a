"""Files of the ledger: the writer's lock, and the check and repair of a journal before it is opened."""

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
from typing import TYPE_CHECKING
from typing import Any

import psutil

from automl.core.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["RECORD_KEY", "WriterLock", "cannot_write", "checksum", "clear_journal_lock", "repair_journal"]

#: The user attribute that holds everything Optuna has no field for.
RECORD_KEY = "automl"
#: Optuna's code of the journal entry that adds a trial.
_CREATE_TRIAL = 4


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


def repair_journal(path: Path) -> str | None:
    """Check every line of a journal file and mend the torn last one that a killed writer leaves.

    A last line that lacks only its line end is kept; any other incomplete last line is cut off.

    Returns:
        What was repaired, or None.

    Raises:
        LedgerError: another line is damaged (it is named), or the file cannot be read or written.
    """
    try:
        data = path.read_bytes()
        body, torn = data[: data.rfind(b"\n") + 1], data[data.rfind(b"\n") + 1 :]
        lines = body.splitlines()
        for number, line in enumerate(lines, start=1):
            _check_line(path, number, line)
        if not torn:
            return None
        if _parsed(torn) is not None:
            with path.open("ab") as file:
                file.write(b"\n")
            return f"line {len(lines) + 1} of {path.name} lacked its line end"
        with path.open("r+b") as file:
            file.truncate(len(body))
        return f"line {len(lines) + 1} of {path.name} was torn after {len(torn)} bytes and cut off"
    except OSError as error:
        raise LedgerError(cannot_write(path, error)) from error


def _parsed(line: bytes) -> dict[str, Any] | None:
    """Return the object that a line holds, or None."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _check_line(path: Path, number: int, line: bytes) -> None:
    entry = _parsed(line)
    if entry is not None and isinstance(entry.get("op_code"), int) and "worker_id" in entry:
        record = entry.get("user_attrs", {}).get(RECORD_KEY) if entry["op_code"] == _CREATE_TRIAL else None
        if record is None or record.get("check") == checksum(record):
            return
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
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
