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
from automl.kernels.compilation.devices import ARCHITECTURES
from tests.architecture.source import ROOT

_ROW = CompiledRow("demo", "decode", "sm_80", 64, 0, 1024, "int8", 4, 2, 0.5)
_BUILD = Build("decode", None, {}, tensor_core="int8")


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
        ({"wide_loads": 0}, "no 16-byte loads"),
    ],
)
def test_each_fault_is_named(change, words):
    row = CompiledRow(**{**vars(_ROW), **change})
    assert [words in fault for fault in faults(row, _BUILD)] == [True]


def test_the_interpreter_and_the_compiler_exclude_each_other():
    with pytest.raises(KernelError, match="TRITON_INTERPRET=1"):
        next(compile_kernels())


def test_two_token_kernels_compile_without_fault_for_two_vendors():
    names = ("quantize_rows", "w8a8_linear", "w4a8_linear")
    rows = _compiled(*names, "--arch", "sm_90", "--arch", "gfx942", "--config", "decode")
    assert {(r["kernel"], r["arch"]) for r in rows} == {
        (n, a) for n in names[1:] for a in ("sm_90", "gfx942")
    }
    assert [r for r in rows if r["faults"]] == []
    assert all(r["tensor_core"] == "int8" for r in rows)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_every_kernel_compiles_in_every_configuration_for_every_architecture_without_fault():
    rows = _compiled()
    wanted = {(n, b.config, a) for n in table.KERNELS for b in table.builds(n) for a in ARCHITECTURES}
    assert {(r["kernel"], r["config"], r["arch"]) for r in rows} == wanted
    assert [r for r in rows if r["faults"]] == []
