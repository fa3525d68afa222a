"""The cases see planted faults: the source of a kernel is changed in one place, and its cases must fail."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings
from pathlib import Path

import pytest

from automl.kernels import table
from automl.kernels.cases import mismatch
from tests.kernels.support import fenced
from tests.kernels.support import fenced_places
from tests.kernels.support import guarded_outputs

_MUTATIONS = {
    "a dropped column mask of the store": (
        "w8a8_linear",
        "epilogue.triton_impl",
        # Columns alone: rows without a mask would write beyond the fence.
        "(at_m[:, None] < rows) & (at_n[None, :] < columns)",
        "(at_m[:, None] < rows) & (at_n[None, :] >= 0)",
    ),
    "a dropped mask of a load": (
        "quantize_rows",
        "quantize_rows.triton_impl",
        "stride_column, mask=lane < columns, other=0.0)",
        "stride_column)",
    ),
    "a wrong group index": (
        "w4a16_linear",
        "weight_only.triton_impl",
        "start // group)",
        "start // group + 1)",
    ),
    "a lost zero point": (
        "w4a16_linear",
        "weight_only.triton_impl",
        "HAS_ZERO=weight.zero is not None",
        "HAS_ZERO=False",
    ),
    "codes read past the end of a row": (
        "bitplane_linear",
        "bitplane_linear.triton_impl",
        "held = (row < rows)[:, None, None] & (column < inner)[None, :, :]",
        "held = (row < rows)[:, None, None] & (column >= 0)[None, :, :]",
    ),
    "a plane whose sign is forgotten": (
        "bitplane_linear",
        "bitplane_linear.triton_impl",
        "-w_adds, w_adds)",
        "w_adds, w_adds)",
    ),
    "a lost zero point of the input": (
        "bitplane_linear",
        "bitplane_linear.triton_impl",
        "X_ZERO=x_zero is not None",
        "X_ZERO=False",
    ),
    "a sparse value put one place late": (
        "nm_linear",
        "nm_linear.triton_impl",
        "rank += bit",
        "rank += 1",
    ),
    "a block list read past its end": (
        "block_sparse_linear",
        "block_sparse_linear.triton_impl",
        "held = which < last",
        "held = which <= last",
    ),
    "the wrong channel's step": (
        "fake_quantize",
        "fake_quantize.triton_impl",
        "index = (row % period)[:, None]",
        "index = (row // period)[:, None]",
    ),
    "a neighbour left beside its nibble": (
        "w4a8_linear",
        "w4a8_linear.triton_impl",
        "<< shifts) >> 24) & -16",
        "<< shifts) >> 24)",
    ),
}


@pytest.fixture
def mutant(tmp_path, monkeypatch):
    """Return a function that imports a changed copy of one module and reloads the kernel on top of it."""
    changed: list[str] = []

    def build(kernel: str, part: str, before: str, after: str):
        name = f"automl.kernels.{part}"
        source = Path(importlib.import_module(name).__file__).read_text()
        assert source.count(before) >= 1, f"{part} no longer holds {before!r}"
        file = tmp_path / "mutant.py"
        file.write_text(source.replace(before, after))
        module_spec = importlib.util.spec_from_file_location(name, file)
        module = importlib.util.module_from_spec(module_spec)
        module_spec.loader.exec_module(module)
        monkeypatch.setitem(sys.modules, name, module)
        parent, _, leaf = name.rpartition(".")
        monkeypatch.setattr(sys.modules[parent], leaf, module)
        own = f"automl.kernels.{kernel}.triton_impl"
        if own == name:
            return module.run
        importlib.import_module(own)
        changed.append(own)
        return importlib.reload(sys.modules[own]).run

    yield build
    monkeypatch.undo()
    for own in changed:
        importlib.reload(sys.modules[own])


def _fence(name: str, value: object) -> object:
    """Return an operand whose surroundings a fault can read without ending the process."""
    if name in {"x", "w", "codes", "blocks"}:
        return fenced(value)
    return fenced_places(value) if name in {"columns", "starts"} else value


def _failure(kernel: str, run) -> str | None:
    """Return the first of the awkward cases that the implementation fails, or None."""
    reference = table.implementation(kernel, "reference")
    for case in table.cases(kernel)[:28]:
        if table.refusal(kernel, "triton", case.arguments) is not None:
            continue
        arguments = {name: _fence(name, value) for name, value in case.arguments.items()}
        try:
            # What a fault reads may be any number; that it overflows is no finding.
            with guarded_outputs(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = run(**arguments)
        except AssertionError as written_outside:
            return f"{case.name}: {written_outside}"
        if wrong := mismatch(result, reference(**arguments), case.bound_of("triton")):
            return f"{case.name}: {wrong}"
    return None


@pytest.mark.parametrize("mutation", _MUTATIONS)
def test_a_planted_fault_fails_the_cases(mutation, mutant):
    kernel, part, before, after = _MUTATIONS[mutation]
    assert _failure(kernel, mutant(kernel, part, before, after)) is not None


@pytest.mark.parametrize("kernel", sorted({kernel for kernel, *_ in _MUTATIONS.values()}))
def test_the_kernels_as_they_are_pass_the_same_cases(kernel):
    assert _failure(kernel, table.implementation(kernel, "triton")) is None
