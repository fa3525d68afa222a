"""Compiling the sources into the user's cache folder, once per source, compiler and processor."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from automl.kernels.native.toolchain import FLAGS
from automl.kernels.native.toolchain import NoToolchain

if TYPE_CHECKING:
    from automl.kernels.native.toolchain import Toolchain

__all__ = ["SOURCES", "build", "build_key", "default_folder"]

SOURCES = Path(__file__).parent / "sources"

#: Seconds for one call of the compiler; a loaded machine needs a few.
_LIMIT_S = 300


def default_folder() -> Path:
    """Return where compiled kernels are kept."""
    return Path.home() / ".cache" / "automl" / "native"


def _files(sources: Path) -> list[Path]:
    return sorted(p for p in sources.iterdir() if p.suffix in {".cpp", ".h"})


def build_key(toolchain: Toolchain, sources: Path) -> str:
    """Return 32 hexadecimal digits of everything that the library depends on."""
    digest = hashlib.sha256()
    for part in (toolchain.predefined, " ".join(FLAGS), toolchain.compiler, toolchain.pool.name):
        digest.update(part.encode() + b"\0")
    for file in _files(sources):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:32]


def build(toolchain: Toolchain, folder: Path, sources: Path = SOURCES) -> Path:
    """Return the compiled library, from the cache when it is there.

    Several processes may build at once: each writes a file of its own and renames it.

    Args:
        toolchain: of this machine.
        folder: cache, made when missing and readable by its owner alone.
        sources: folder of the code.

    Raises:
        NoToolchain: the compiler or the cache folder fails.
    """
    target = folder / f"kernels-{build_key(toolchain, sources)}.so"
    if target.is_file():
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=folder, prefix="build-") as room:
            made = _compile(toolchain, sources, Path(room))
            made.replace(target)
    except OSError as error:
        raise NoToolchain(f"the cache folder {folder} takes no files ({error})") from error
    return target


def _compile(toolchain: Toolchain, sources: Path, room: Path) -> Path:
    """Return the library, made of one translation unit that includes all sources."""
    unit, part, whole = room / "unit.cpp", room / "unit.o", room / "kernels.so"
    unit.write_text("".join(f'#include "{f.name}"\n' for f in _files(sources) if f.suffix == ".cpp"))
    _call([toolchain.compiler, *FLAGS, "-I", str(sources), "-c", str(unit), "-o", str(part)])
    # Without -fopenmp, which would add a thread pool of the compiler's: torch's has the entry points.
    _call([toolchain.compiler, "-shared", str(part), str(toolchain.pool), "-o", str(whole)])
    return whole


def _call(command: list[str]) -> None:
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_LIMIT_S, env=environment
        )
    except subprocess.TimeoutExpired as error:
        raise NoToolchain(f"{command[0]} took longer than {_LIMIT_S} s") from error
    if done.returncode:
        wrong = [line for line in done.stderr.splitlines() if "error: " in line]
        first = (wrong or done.stderr.strip().splitlines() or ["no message"])[0]
        raise NoToolchain(f"{command[0]} fails: {first}")
