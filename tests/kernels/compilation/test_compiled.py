"""Kernels are compiled for devices that are not there, in a process of their own: this one interprets."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from automl.core.errors import KernelError
from automl.kernels import table
from automl.kernels.builds import Build
from automl.kernels.compilation.compiled import CompiledRow
from automl.kernels.compilation.compiled import compile_kernels
from automl.kernels.compilation.compiled import faults
from automl.kernels.compilation.compiled import hot_loads
from automl.kernels.compilation.devices import ARCHITECTURES
from automl.kernels.compilation.reading_math import Load
from automl.kernels.compilation.reading_math import Reading
from tests.architecture.source import ROOT

_ROW = CompiledRow("demo", "decode", "sm_80", 64, 0, 1024, "int8", "IMMA", {"x": {16: 4}}, 0.5)
_BUILD = Build("decode", None, {}, tensor_core="int8", hot={"x": "x = tl.load("})

#: One configuration of every kernel, and both forms where a kernel has two functions.
_SAMPLE = (
    *("16x16-decode", "1x16", "cut-8", "decode-1-w2a2", "decode-16-w8a8", "tensor", "row-fp8", "decode-int8"),
    *("decode-symmetric-fp16", "decode-channel", "prefill-symmetric-bf16"),
)


def _compiled(*options: str) -> list[dict]:
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    command = [sys.executable, "-m", "automl.cli.app", "kernels", "compile", "--json", *options]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1200, check=False
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout.splitlines()[-1])["rows"]


def test_a_sound_binary_has_no_fault():
    assert faults(_ROW, _BUILD) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"spills": 3}, "3 spills"),
        ({"shared_bytes": 200_000}, "200000 bytes of shared memory, the device has 166912"),
        ({"tensor_core": "fp16"}, "no int8 matrix instructions"),
        ({"tensor_core": ""}, "no int8 matrix instructions"),
        ({"loads": {"x": {8: 1, 16: 4}}}, "loads 'x' 8 bytes at a time"),
        ({"loads": {"x": {}}}, "no load of 'x'"),
    ],
)
def test_each_fault_is_named(change, words):
    row = CompiledRow(**{**vars(_ROW), **change})
    assert [words in fault for fault in faults(row, _BUILD)] == [True]


def test_the_interpreter_and_the_compiler_exclude_each_other():
    with pytest.raises(KernelError, match="TRITON_INTERPRET=1"):
        next(compile_kernels())


def test_loads_are_counted_by_the_lines_of_their_operand():
    build = next(b for b in table.builds("w8a8_linear"))
    lines, file = build.load_lines(), build.source_file()
    x, w = lines["x"][0], lines["w"][0]
    elsewhere = Load("epilogue/triton_impl.py", x, 4)
    loads = (Load(file, x, 16), Load(file, x, 8), Load(file, w, 16), Load(file, w + 1, 4), elsewhere)
    found = hot_loads(build, Reading(1, 0, (), (), loads))
    assert found == {"x": {8: 1, 16: 1}, "w": {16: 1}}


def test_a_source_that_does_not_compile_is_a_fault_of_its_row(monkeypatch):
    from automl.kernels.compilation import triton_impl

    def broken(build, arch):
        raise KernelError(f"configuration '{build.config}' does not compile for {arch}: mismatch")

    monkeypatch.setattr(triton_impl, "compile_build", broken)
    monkeypatch.setattr(triton_impl, "interpreting", lambda: False)
    rows = list(compile_kernels(["w8a8_linear"], ["sm_90"], ["prefill"]))
    assert [(r.registers, "does not compile for sm_90: mismatch" in f[0]) for r, f in rows] == [(0, True)]


def test_every_kernel_compiles_without_fault_for_two_vendors():
    archs = ("--arch", "sm_90", "--arch", "gfx942")
    rows = _compiled(*archs, *(o for c in _SAMPLE for o in ("--config", c)))
    # Its configurations are named by the class alone, which every other product's name begins with.
    rows += _compiled("w8a8_linear", *archs, "--config", "decode")
    built = {(r["kernel"], r["arch"]) for r in rows}
    assert built == {(n, a) for n in table.KERNELS if table.builds(n) for a in ("sm_90", "gfx942")}
    assert [r for r in rows if r["faults"]] == []


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_every_kernel_compiles_in_every_configuration_for_every_architecture_without_fault():
    rows = _compiled()
    wanted = {(n, b.config, a) for n in table.KERNELS for b in table.builds(n) for a in ARCHITECTURES}
    assert {(r["kernel"], r["config"], r["arch"]) for r in rows} == wanted
    assert [r for r in rows if r["faults"]] == []


def test_a_configuration_that_no_kernel_has_is_named(monkeypatch):
    from automl.kernels.compilation import triton_impl

    monkeypatch.setattr(triton_impl, "interpreting", lambda: False)
    with pytest.raises(KernelError, match="unknown configuration 'prefil2'; did you mean 'prefill'"):
        next(compile_kernels(["w8a8_linear"], ["sm_90"], ["decode", "prefil2"]))
