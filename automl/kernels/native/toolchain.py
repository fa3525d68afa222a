"""The C++ compiler of this machine, what it compiles for, and the thread pool that torch has loaded."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import torch

__all__ = ["FLAGS", "NoToolchain", "Toolchain", "find_toolchain", "loaded_pools"]

#: Sums may not be rounded anew behind the source: results must equal the references.
FLAGS = ("-std=c++17", "-O3", "-march=native", "-ffp-contract=off", "-fno-math-errno", "-fPIC", "-fopenmp")

_COMPILERS = ("g++", "c++")

#: Libraries with the entry points that GNU's compiler calls for a parallel region.
_POOL = re.compile(r"/lib(?:gomp|iomp5|omp)[-.\w]*\.so[.\d]*$")

_MAPS = Path("/proc/self/maps")


class NoToolchain(Exception):
    """Nothing here can compile the kernels; the text says why."""


@dataclass(frozen=True)
class Toolchain:
    """What builds a library for this process.

    Args:
        compiler: path.
        predefined: the macros it defines with ``FLAGS``: its version and the instructions of this processor.
        pool: the OpenMP library that torch has loaded.
    """

    compiler: str
    predefined: str
    pool: Path


def loaded_pools() -> list[Path]:
    """Return the OpenMP libraries in this process, sorted; none where the system does not tell."""
    try:
        lines = _MAPS.read_text().splitlines()
    except OSError:
        return []
    # Five columns come before the path, which may hold spaces.
    paths = {parts[5] for line in lines if len(parts := line.split(None, 5)) == 6}
    return sorted(Path(path) for path in paths if _POOL.search(path))


def _torch_pool() -> Path:
    pools = loaded_pools()
    package = Path(torch.__file__).resolve().parent
    # Another package may have brought a pool of its own, so torch's is recognized by its folder.
    near = (package, package.with_name("torch.libs"))
    found = [p for p in pools if any(folder in p.resolve().parents for folder in near)] or pools
    if len(found) != 1:
        names = ", ".join(str(p) for p in found) or "none"
        raise NoToolchain(f"torch's OpenMP library is not to be told from the loaded ones ({names})")
    return found[0]


def _predefined(compiler: str) -> str:
    call = [compiler, *FLAGS, "-dM", "-E", "-x", "c++", os.devnull]
    try:
        done = subprocess.run(call, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoToolchain(f"{compiler} does not run ({error})") from error
    if done.returncode:
        first = (done.stderr.strip().splitlines() or ["no message"])[0]
        raise NoToolchain(f"{compiler} refuses the flags of the kernels ({first})")
    return done.stdout


def find_toolchain() -> Toolchain:
    """Return the first GNU C++ compiler on the path; others bring a thread pool of their own.

    Raises:
        NoToolchain: there is none, it takes other flags, or torch's thread pool is not found.
    """
    reason = "no C++ compiler (g++) is on the path"
    for name in _COMPILERS:
        compiler = shutil.which(name)
        if compiler is None:
            continue
        predefined = _predefined(compiler)
        if "__clang__" not in predefined:
            return Toolchain(compiler, predefined, _torch_pool())
        reason = f"{compiler} is clang, whose threads are not those of torch; install g++"
    raise NoToolchain(reason)
