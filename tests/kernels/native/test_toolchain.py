from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from automl.kernels.native import toolchain
from automl.kernels.native.toolchain import NoToolchain
from automl.kernels.native.toolchain import find_toolchain
from automl.kernels.native.toolchain import loaded_pools

if TYPE_CHECKING:
    from pathlib import Path

MAPPED = """\
7f00-7f01 r-xp 00000000 08:01 1 /site-packages/torch/lib/libtorch_cpu.so
7f01-7f02 r-xp 00000000 08:01 2 /site-packages/torch/lib/libgomp-a34b3233.so.1
7f02-7f03 rw-p 00000000 00:00 0
7f03-7f04 r-xp 00000000 08:01 3 /with a space/scikit_learn.libs/libgomp.so.1
7f04-7f05 r-xp 00000000 08:01 4 /lib/libcompute.so
"""


@pytest.fixture
def mapped(tmp_path, monkeypatch):
    def write(text: str) -> None:
        file = tmp_path / "maps"
        file.write_text(text)
        monkeypatch.setattr(toolchain, "_MAPS", file)

    return write


def _compiler(folder: Path, body: str) -> None:
    file = folder / "g++"
    file.write_text(f"#!{sys.executable}\nimport sys\n{body}\n")
    file.chmod(0o755)


@pytest.fixture
def only_path(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_thread_pools_are_read_from_the_map_of_the_process(mapped):
    mapped(MAPPED)
    assert [str(p) for p in loaded_pools()] == [
        "/site-packages/torch/lib/libgomp-a34b3233.so.1",
        "/with a space/scikit_learn.libs/libgomp.so.1",
    ]


def test_a_system_without_such_a_map_has_no_pools(tmp_path, monkeypatch):
    monkeypatch.setattr(toolchain, "_MAPS", tmp_path / "nowhere")
    assert loaded_pools() == []


def test_the_pool_in_the_folder_of_torch_is_taken_among_several(mapped, monkeypatch):
    mapped(MAPPED)
    monkeypatch.setattr(toolchain.torch, "__file__", "/site-packages/torch/__init__.py")
    assert toolchain._torch_pool().name == "libgomp-a34b3233.so.1"


def test_pools_that_cannot_be_told_apart_are_named(mapped, monkeypatch):
    mapped(MAPPED)
    monkeypatch.setattr(toolchain.torch, "__file__", "/elsewhere/torch/__init__.py")
    with pytest.raises(NoToolchain, match=r"libgomp-a34b3233.so.1, /with a space"):
        toolchain._torch_pool()
    mapped("")
    with pytest.raises(NoToolchain, match=r"loaded ones \(none\)"):
        toolchain._torch_pool()


def test_no_compiler_is_a_reason(only_path):
    with pytest.raises(NoToolchain, match="no C\\+\\+ compiler"):
        find_toolchain()


def test_clang_is_refused_for_its_thread_pool(only_path):
    _compiler(only_path, "print('#define __clang__ 1')")
    with pytest.raises(NoToolchain, match="is clang, whose threads are not those of torch"):
        find_toolchain()


def test_a_compiler_that_refuses_the_flags_is_quoted(only_path):
    _compiler(only_path, "sys.stderr.write('unknown option -march=native'); sys.exit(1)")
    with pytest.raises(NoToolchain, match="unknown option -march=native"):
        find_toolchain()


def test_the_macros_of_the_compiler_are_part_of_what_it_is(only_path, mapped, monkeypatch):
    mapped(MAPPED)
    monkeypatch.setattr(toolchain.torch, "__file__", "/site-packages/torch/__init__.py")
    _compiler(only_path, "print('#define __AVX512F__ 1')")
    assert "__AVX512F__" in find_toolchain().predefined
