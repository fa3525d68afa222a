from __future__ import annotations

import ctypes
import logging
from pathlib import Path

import pytest

from automl.core.errors import KernelError
from automl.kernels.native import library
from automl.kernels.native.building import build
from automl.kernels.native.library import SWITCH
from automl.kernels.native.library import load
from automl.kernels.native.library import native
from automl.kernels.native.library import native_obstacle
from automl.kernels.native.library import using
from automl.kernels.native.toolchain import NoToolchain
from automl.kernels.native.toolchain import find_toolchain
from tests.kernels.native.support import needs_native


@pytest.fixture
def not_loaded(monkeypatch):
    """Let this test build for itself, and forget what it found."""
    monkeypatch.delenv(SWITCH, raising=False)
    library._loaded.cache_clear()
    yield
    library._loaded.cache_clear()


def _taken(monkeypatch) -> list[int]:
    """Return the list of forms that are asked for from now on."""
    found = []
    plain = library.Native.take
    monkeypatch.setattr(library.Native, "take", lambda self, way: (found.append(way), plain(self, way))[1])
    return found


@needs_native
def test_threads_are_those_of_torch_and_no_pool_is_added():
    kernels = native()
    threads = kernels.function("automl_threads_of", (ctypes.c_int,), ctypes.c_int)
    assert [threads(n) for n in (1, 2, 3)] == [1, 2, 3]
    assert find_toolchain().pool in library.loaded_pools()


@needs_native
def test_a_library_that_brings_another_thread_pool_is_refused(tmp_path, monkeypatch):
    sources = tmp_path / "code"
    sources.mkdir()
    (sources / "tiny.cpp").write_text('extern "C" int answer() { return 42; }\n')
    made = build(find_toolchain(), tmp_path / "cache", sources)
    maps = iter([[Path("/torch/libgomp.so.1")], [Path("/torch/libgomp.so.1"), Path("/lib/libgomp.so.1")]])
    monkeypatch.setattr(library, "loaded_pools", lambda: next(maps))
    with pytest.raises(NoToolchain, match=r"brought the thread pool /lib/libgomp.so.1 beside torch's"):
        load(made)


def test_a_file_that_is_no_library_is_a_reason(tmp_path):
    (tmp_path / "kernels.so").write_bytes(b"not a library")
    with pytest.raises(NoToolchain, match="does not load"):
        load(tmp_path / "kernels.so")


def test_without_a_compiler_torch_serves_and_one_sentence_says_so(not_loaded, monkeypatch, caplog, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with caplog.at_level(logging.WARNING):
        assert native() is None
        assert native() is None
    assert "no C++ compiler" in native_obstacle()
    assert len(caplog.records) == 1
    assert "operators of torch serve instead" in caplog.records[0].getMessage()


def test_the_switch_turns_them_off_without_a_build(not_loaded, monkeypatch):
    monkeypatch.setenv(SWITCH, "0")
    monkeypatch.setattr(library, "find_toolchain", lambda: pytest.fail("it looked for a compiler"))
    assert native() is None
    assert native_obstacle() == "AUTOML_NATIVE=0 turns the native kernels off"


@needs_native
def test_a_way_holds_inside_its_block_alone(monkeypatch):
    monkeypatch.delenv(SWITCH, raising=False)
    found = _taken(monkeypatch)
    with using("off"):
        assert native() is None
        with using("plain"):
            assert native() is not None
        assert native() is None
    assert native() is not None
    assert found[0] == "plain"
    assert found[-1] == "vector"


@needs_native
def test_the_switch_can_ask_for_the_plain_loops(monkeypatch):
    monkeypatch.setenv(SWITCH, "plain")
    found = _taken(monkeypatch)
    native()
    monkeypatch.delenv(SWITCH)
    native()
    assert found == ["plain", "vector"]


def test_an_unknown_way_is_refused():
    with pytest.raises(KernelError, match="did you mean 'plain'"), using("plane"):
        pass
