from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from automl.cli.app import app
from automl.core.errors import ConfigError
from automl.core.errors import KernelError
from automl.kernels import table
from automl.stages import kernel_bench_device
from automl.stages.kernel_bench import KernelRow


def _run(*arguments: str):
    return CliRunner().invoke(app, ["kernels", *arguments])


def test_the_list_names_every_kernel_with_its_cpu_path():
    rows = json.loads(_run("list", "--json").stdout)["rows"]
    assert [r["kernel"] for r in rows] == list(table.KERNELS)
    assert all(r["summary"] and r["cpu"] for r in rows)
    assert "w8a8_linear" in _run("list").stdout


def test_check_prints_one_row_a_kernel_and_implementation():
    done = _run("check", "quantize_rows", "--json")
    assert done.exit_code == 0
    rows = json.loads(done.stdout)["rows"]
    assert [r["implementation"] for r in rows] == ["cpu", "cpu", "cpu", "triton"]
    assert rows[2]["cases"] > 50
    assert rows[0]["failed"] == 0
    assert {"kernel", "implementation", "cases", "failed"} <= set(rows[0])


def test_a_failed_case_is_exit_code_1(monkeypatch):
    from automl.kernels import checking

    monkeypatch.setattr(checking, "run_case", lambda *_: "result 0 differs")
    done = _run("check", "quantize_rows", "--json")
    assert done.exit_code == 1
    assert "differs" in json.loads(done.stdout)["rows"][2]["reason"]


def test_a_broken_kernel_is_found_and_named(monkeypatch):
    from automl.kernels.quantize_rows import triton_impl

    sound = triton_impl.run

    def broken(x, fmt, granularity, scale, zero=0):
        codes, step = sound(x, fmt, granularity, scale, zero)
        return codes, step * 1.0001

    monkeypatch.setattr(triton_impl, "run", broken)
    done = _run("check", "quantize_rows", "--json")
    assert done.exit_code == 1
    *_, cpu, triton = json.loads(done.stdout)["rows"]
    assert (cpu["failed"], cpu["reason"]) == (0, "")
    # An empty call has no number that could be wrong, and some steps are given.
    assert 50 < triton["failed"] < triton["cases"]
    assert "instead of" in triton["reason"] or "expected" in triton["reason"]


def test_compile_prints_the_columns_and_fails_on_a_fault(monkeypatch):
    from automl.kernels.compilation import compiled

    row = compiled.CompiledRow("demo", "decode", "sm_80", 64, 3, 1024, "int8", "IMMA", {"x": {16: 4}}, 0.5)
    monkeypatch.setattr(compiled, "compile_kernels", lambda *_: iter([(row, ["3 spills"])]))
    done = _run("compile", "--json")
    assert done.exit_code == 1
    found = json.loads(done.stdout)["rows"][0]
    columns = {"kernel", "config", "arch", "registers", "spills", "shared_bytes", "tensor_core", "faults"}
    assert columns <= set(found)


def test_bench_prints_medians_and_ratios(monkeypatch):
    from automl.kernels import cpu_contenders

    monkeypatch.setattr(cpu_contenders, "SHAPES", ((1, 64, 32),))
    rows = json.loads(_run("bench", "--rounds", "4", "--json").stdout)["rows"]
    assert rows[0]["call"] == cpu_contenders.BASELINE
    assert rows[0]["times_f32"] == 1.0
    assert all(r["median_ms"] > 0 for r in rows)


def test_an_unknown_kernel_is_refused():
    done = _run("check", "w8a8_liner")
    assert isinstance(done.exception, KernelError)
    with pytest.raises(KernelError, match="did you mean 'w8a8_linear'"):
        raise done.exception


def test_bench_refuses_a_device_that_is_not_there_or_not_known_and_names_that_it_cannot_use():
    for arguments, error, says in (
        (("--device", "cuda"), KernelError, "this machine has none; use --device cpu"),
        (("--device", "cud"), ConfigError, "did you mean 'cuda'"),
        (("w8a8_linear",), ConfigError, "leave the names out, or use --device cuda"),
    ):
        done = _run("bench", *arguments)
        assert isinstance(done.exception, error), arguments
        assert says in str(done.exception)


def test_bench_on_a_device_prints_rows_with_device_driver_and_commit(monkeypatch):
    row = KernelRow("w8a8_linear", 1, 2, 3, "automl", 0.5, 0.4, 0.6, 9, 0.1, 0.2, "torch", 1.5, "graph", "")
    facts = {"device": "paper", "driver": "1", "commit": "abc"}
    asked = []

    def measure(kernels, *, rounds):
        asked.append((list(kernels), rounds))
        return [row], facts

    monkeypatch.setattr(kernel_bench_device, "wanted_device", lambda name: "cuda")
    monkeypatch.setattr(kernel_bench_device, "measure_on_device", measure)
    body = json.loads(_run("bench", "w8a8_linear", "--rounds", "9", "--json").stdout)
    assert {k: body[k] for k in facts} == facts
    assert body["rows"][0]["times_best_torch"] == 1.5
    assert asked == [(["w8a8_linear"], 9)]
    assert "driver: 1" in _run("bench").stdout
