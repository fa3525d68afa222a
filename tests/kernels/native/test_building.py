from __future__ import annotations

import multiprocessing
import shutil
from pathlib import Path

import pytest

from automl.kernels.native import building
from automl.kernels.native.building import SOURCES
from automl.kernels.native.building import build
from automl.kernels.native.building import build_key
from automl.kernels.native.building import default_folder
from automl.kernels.native.toolchain import NoToolchain
from automl.kernels.native.toolchain import Toolchain
from automl.kernels.native.toolchain import find_toolchain
from tests.kernels.native.support import needs_native

TOOLCHAIN = Toolchain("/bin/g++", "#define __VERSION__ 1", Path("/torch/lib/libgomp.so.1"))
TINY = 'extern "C" int answer() { return 42; }\n'


@pytest.fixture
def sources(tmp_path):
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "tiny.cpp").write_text(TINY)
    return folder


def test_the_key_depends_on_source_names_compiler_processor_and_pool(sources):
    first = build_key(TOOLCHAIN, sources)
    assert build_key(TOOLCHAIN, sources) == first
    others = [
        Toolchain("/bin/c++", TOOLCHAIN.predefined, TOOLCHAIN.pool),
        Toolchain(TOOLCHAIN.compiler, "#define __VERSION__ 2", TOOLCHAIN.pool),
        Toolchain(TOOLCHAIN.compiler, TOOLCHAIN.predefined, Path("/torch/lib/libiomp5.so")),
    ]
    keys = {build_key(t, sources) for t in others}
    (sources / "tiny.cpp").rename(sources / "small.cpp")
    keys.add(build_key(TOOLCHAIN, sources))
    (sources / "small.cpp").write_text(TINY + "\n")
    keys.add(build_key(TOOLCHAIN, sources))
    assert len(keys | {first}) == 6


def test_other_files_of_the_folder_do_not_count(sources):
    first = build_key(TOOLCHAIN, sources)
    (sources / "notes.txt").write_text("nothing")
    assert build_key(TOOLCHAIN, sources) == first


def test_what_is_in_the_cache_is_not_compiled_again(sources, tmp_path):
    folder = tmp_path / "cache"
    folder.mkdir()
    there = folder / f"kernels-{build_key(TOOLCHAIN, sources)}.so"
    there.write_bytes(b"")
    assert build(TOOLCHAIN, folder, sources) == there


def test_a_compiler_that_is_not_there_is_a_reason(sources, tmp_path):
    gone = Toolchain(str(tmp_path / "g++"), "", TOOLCHAIN.pool)
    with pytest.raises(NoToolchain, match="No such file"):
        build(gone, tmp_path / "cache", sources)


def test_a_folder_that_takes_no_files_is_a_reason(sources, tmp_path):
    (tmp_path / "cache").write_text("a file in its place")
    with pytest.raises(NoToolchain, match="takes no files"):
        build(TOOLCHAIN, tmp_path / "cache", sources)


@needs_native
def test_the_first_error_of_a_source_is_told_and_nothing_is_left(sources, tmp_path):
    (sources / "tiny.cpp").write_text("int broken( {\n")
    with pytest.raises(NoToolchain, match=r"tiny.cpp:1:.*error"):
        build(find_toolchain(), tmp_path / "cache", sources)
    assert list((tmp_path / "cache").iterdir()) == []


@needs_native
def test_a_slow_compiler_is_given_up(sources, tmp_path, monkeypatch):
    monkeypatch.setattr(building, "_LIMIT_S", 1e-3)
    with pytest.raises(NoToolchain, match="took longer"):
        build(find_toolchain(), tmp_path / "cache", sources)


def _build_in_a_process(folder: Path, sources: Path) -> str:
    return str(build(find_toolchain(), folder, sources))


@needs_native
def test_processes_that_build_at_once_end_with_one_file(sources, tmp_path):
    folder = tmp_path / "cache"
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        made = pool.starmap(_build_in_a_process, [(folder, sources)] * 3)
    assert {Path(p) for p in made} == set(folder.iterdir())


def test_the_sources_are_shipped_and_the_cache_is_below_home(monkeypatch):
    assert (SOURCES / "ways.cpp").is_file()
    monkeypatch.setattr(Path, "home", lambda: Path("/somewhere"))
    assert default_folder() == Path("/somewhere/.cache/automl/native")


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_the_shipped_sources_compile_where_there_is_a_compiler(tmp_path):
    # Everything else about them is skipped or served by torch when they do not.
    assert build(find_toolchain(), tmp_path / "cache").is_file()
