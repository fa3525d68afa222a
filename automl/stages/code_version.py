"""What stored tables depend on besides their inputs: the code that made them."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from automl import __version__

__all__ = ["code_version"]

#: Rooms whose code decides the numbers that runs share; a change elsewhere keeps the tables.
ROOMS = ("models", "data", "searchspaces", "transforms", "kernels", "targets", "evaluators", "stages")


@cache
def code_version() -> str:
    """Return the project's version and a digest of the code that tables depend on, read once a process.

    The version alone would let tables of an older checkout of the same version answer for newer code.
    """
    return f"{__version__}+{code_digest(Path(__file__).parents[1])}"


def code_digest(package: Path) -> str:
    """Return 12 hexadecimal digits over names and contents of the modules in :data:`ROOMS` of ``package``."""
    digest = hashlib.sha256()
    for file in sorted(file for room in ROOMS for file in (package / room).rglob("*.py")):
        digest.update(f"{file.relative_to(package).as_posix()}\n".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
