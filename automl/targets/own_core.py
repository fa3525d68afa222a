"""A core for one process of one thread, so that several of them do not wait for each other."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["claim_core"]

try:
    import fcntl
except ImportError:  # Windows has neither these locks nor the affinity of a process.
    fcntl = None  # type: ignore[assignment]


def claim_core(cores: Iterable[int] | None = None, folder: Path | None = None) -> int | None:
    """Keep this process to a core that no other process has claimed; the claim ends with the process.

    A runtime compiles with as many threads as it has cores, whatever it was told about inference. Two
    processes that do so on two cores spend a third of their time waiting for each other's threads.

    Args:
        cores: cores to choose from, those this process may use when None.
        folder: holds the claims, one for each user of the machine when None.

    Returns:
        The core; None, with nothing changed, when all are claimed or where processes cannot be kept to one.
    """
    if fcntl is None or not hasattr(os, "sched_setaffinity"):
        return None
    folder = folder or Path(tempfile.gettempdir()) / f"automl-cores-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        for core in sorted(os.sched_getaffinity(0) if cores is None else cores):
            # The descriptor stays open for as long as the process lives.
            claim = os.open(folder / str(core), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(claim)
                continue
            os.sched_setaffinity(0, {core})
            return core
    except OSError:
        pass  # No place for claims: the operating system shares the cores out.
    return None
