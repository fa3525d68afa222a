"""What tests of native kernels share: a mark for machines without a compiler, and changed sources."""

from __future__ import annotations

import shutil

import pytest

from automl.kernels.native.building import SOURCES
from automl.kernels.native.building import build
from automl.kernels.native.library import Native
from automl.kernels.native.library import load
from automl.kernels.native.library import native_obstacle
from automl.kernels.native.toolchain import find_toolchain

needs_native = pytest.mark.skipif(
    native_obstacle() is not None, reason=f"no native kernels: {native_obstacle()}"
)


def mutant(room, file: str, before: str, after: str) -> Native:
    """Return the kernels with one place of their source changed."""
    folder = room / "sources"
    shutil.copytree(SOURCES, folder)
    text = (folder / file).read_text()
    assert text.count(before) >= 1, f"{file} no longer holds {before!r}"
    (folder / file).write_text(text.replace(before, after))
    return load(build(find_toolchain(), room / "cache", folder))
