"""Room for what runs share: each kind of stored work keeps to a size, the oldest goes first."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING

from automl.stages.code_version import code_version

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["stored_name", "trim"]

#: Bytes that one kind of stored work (traced models, calibrations, repaired plans) may take.
LIMIT_BYTES = 4 * 2**30


def stored_name(*parts: str) -> str:
    """Return the file name of work that depends on ``parts`` and on the code that does it, 32 digits."""
    return hashlib.sha256("\n".join((code_version(), *parts)).encode()).hexdigest()[:32]


def trim(root: Path, limit_bytes: int = LIMIT_BYTES) -> None:
    """Delete the entries of ``root`` that were used longest ago until the rest fits ``limit_bytes``.

    The newest entry always stays. Entries that vanish meanwhile, because another run trims too, are fine.

    Args:
        root: folder whose files and folders are the entries; an entry's time of use is its own time stamp.
        limit_bytes: bytes that may stay.
    """
    entries = []
    for entry in root.iterdir() if root.is_dir() else ():
        try:
            files = [entry] if entry.is_file() else [f for f in entry.rglob("*") if f.is_file()]
            entries.append((entry.stat().st_mtime_ns, sum(f.stat().st_size for f in files), entry))
        except OSError:
            continue
    entries.sort(key=lambda row: row[0], reverse=True)
    total = 0
    for index, (_, size, entry) in enumerate(entries):
        total += size
        if index and total > limit_bytes:
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
