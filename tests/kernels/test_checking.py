from __future__ import annotations

import pytest

from automl.core.errors import KernelError
from automl.kernels import checking
from automl.kernels import table
from automl.kernels.checking import check_kernels
from automl.kernels.native.library import WAYS
from automl.kernels.native.library import native_obstacle


@pytest.fixture
def few_cases(monkeypatch):
    """Keep the first cases of every kernel: the interpreter is slow."""
    every = table.cases
    monkeypatch.setattr(checking.table, "cases", lambda name: every(name)[:10])


def test_every_implementation_gets_a_row(few_cases):
    rows = list(check_kernels(["w8a8_linear"]))
    cpu = [("cpu", way, 0) for way in WAYS]
    assert [(r.implementation, r.way, r.failed) for r in rows] == [*cpu, ("triton", "", 0)]
    if native_obstacle() is None:
        assert [r.cases for r in rows] == [10] * 4


def test_a_kernel_without_native_code_has_one_row_on_the_cpu(few_cases):
    assert [(r.implementation, r.way) for r in check_kernels(["fake_quantize"])] == [
        ("cpu", ""),
        ("triton", ""),
    ]


def test_without_native_kernels_their_rows_say_why(few_cases, monkeypatch):
    monkeypatch.setattr(checking, "native_obstacle", lambda: "no C++ compiler")
    rows = [r for r in check_kernels(["w8a8_linear"]) if r.implementation == "cpu"]
    assert [(r.cases, r.reason) for r in rows] == [(0, "no C++ compiler"), (0, "no C++ compiler"), (10, "")]


def test_a_wrong_result_is_counted_and_located(few_cases, monkeypatch):
    right = table.implementation

    def wrong(name, which):
        run = right(name, which)
        return run if which == "reference" else lambda **arguments: run(**arguments) + 1

    monkeypatch.setattr(checking.table, "implementation", wrong)
    (*_, row, _) = check_kernels(["w8a8_linear"])
    assert row.failed == row.cases == 10
    assert "expected" in row.reason


def test_what_cannot_run_here_says_why(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    (*_, row) = check_kernels(["quantize_rows"])
    assert (row.implementation, row.cases) == ("triton", 0)
    assert "needs a CUDA or ROCm device" in row.reason


def test_an_unknown_kernel_is_refused():
    with pytest.raises(KernelError, match="did you mean 'w8a8_linear'"):
        list(check_kernels(["w8a8_liner"]))
