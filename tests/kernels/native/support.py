"""What tests of native kernels share: marks for machines without a compiler or tiles, and changed sources."""

from __future__ import annotations

import ctypes
import shutil

import pytest

from automl.kernels.native.building import SOURCES
from automl.kernels.native.building import build
from automl.kernels.native.library import Native
from automl.kernels.native.library import load
from automl.kernels.native.library import native
from automl.kernels.native.library import native_obstacle
from automl.kernels.native.library import using
from automl.kernels.native.toolchain import find_toolchain

needs_native = pytest.mark.skipif(
    native_obstacle() is not None, reason=f"no native kernels: {native_obstacle()}"
)


def _has_tiles() -> bool:
    with using("vector"):
        kernels = native()
        return kernels is not None and bool(kernels.function("automl_has_tiles", (), ctypes.c_int)())


needs_tiles = pytest.mark.skipif(not _has_tiles(), reason="no compiler, or a processor without AMX")


def mutant(room, file: str, before: str, after: str) -> Native:
    """Return the kernels with one place of their source changed."""
    folder = room / "sources"
    shutil.copytree(SOURCES, folder)
    text = (folder / file).read_text()
    assert text.count(before) >= 1, f"{file} no longer holds {before!r}"
    (folder / file).write_text(text.replace(before, after))
    return load(build(find_toolchain(), room / "cache", folder))
