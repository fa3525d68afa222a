from __future__ import annotations

import pytest

import automl
from automl.api_sweep import estimate_sweep
from automl.api_sweep import load_sweep
from automl.api_sweep import open_sweep
from automl.api_sweep import resume_sweep
from automl.core.errors import AutomlError
from automl.core.errors import ConfigError
from automl.core.errors import LedgerError
from automl.evaluators.latency import LatencyMeter
from automl.ledger import read_ledger
from automl.stages import price
from automl.sweep_config import make_sweep


@pytest.fixture(scope="module")
def swept(tmp_path_factory, digits_data, shared_cache):
    """A real sweep of two strategies and a model that does not exist."""
    return automl.sweep(
        {
            "models": ["tests.digits:build", "tests.digits:missing"],
            "budgets": [["latency=1.5x", "drop=5%"]],
            "strategies": ["random"],
            "data": str(digits_data),
            "effort": "quick",
            "trials": 6,
            "calibration": 64,
            "evaluation": 200,
            "cache": str(shared_cache),
        },
        run=tmp_path_factory.mktemp("sweeps") / "s",
    )


def test_a_cell_is_a_normal_run_and_a_failed_one_keeps_its_reason(swept):
    done, lost = swept.cells
    assert done.state == "done"
    assert swept.failed == (lost,)
    assert "unknown function 'missing'" in lost.reason
    result = swept.result(done.name)
    assert result.best.id == done.best.id
    assert (result.folder / "report.html").is_file()
    assert (swept.folder / "report.html").is_file()


def test_a_sweep_is_resumed_by_its_folder(swept):
    again = resume_sweep(swept.folder)
    assert [row.state for row in again.cells] == ["done", "failed"]
    assert again.cells[0].front == swept.cells[0].front
    assert open_sweep(swept.folder).comparison.summaries == again.comparison.summaries


def test_rows_are_a_table(swept):
    frame = swept.to_frame()
    assert list(frame["state"]) == ["done", "failed"]
    assert frame["quality"].notna().tolist() == [True, False]


def test_a_sweep_over_two_seeds_measures_its_tables_once(digits_data, tmp_path, monkeypatch):
    tables, designs = [], []
    kl_table, observe = price.kl_table, LatencyMeter.observe

    def table(*given, **named):
        tables.append(1)
        return kl_table(*given, **named)

    def design(*given, **named):
        designs.append(1)
        return observe(*given, **named)

    monkeypatch.setattr(price, "kl_table", table)
    monkeypatch.setattr(LatencyMeter, "observe", design)
    settings = {
        "models": ["tests.digits:build"],
        "strategies": ["random"],
        "data": str(digits_data),
        "effort": "quick",
        "options": ["w8a8"],
        "trials": 24,
        "calibration": 32,
        "evaluation": 64,
        "cache": str(tmp_path / "tables"),
    }
    automl.sweep({**settings, "seeds": [3]}, run=tmp_path / "s")
    counts = (len(tables), len(designs))
    assert min(counts) > 0
    found = automl.sweep({**settings, "seeds": [3, 4]}, run=tmp_path / "s")
    assert (len(tables), len(designs)) == counts
    assert [row.state for row in found.cells] == ["done", "done"]
    proposed = []
    for row in found.cells:
        ledger = read_ledger(tmp_path / "s" / "cells" / row.name / "ledger.journal", study_name=row.name)
        proposed.append({t.candidate for t in ledger.trials if t.origin == "random"})
    # the seed still decides the search
    assert proposed[0] != proposed[1]


def test_a_cell_that_is_not_there_is_named(swept):
    with pytest.raises(LedgerError, match=r"unknown cell 'nothing'.*choose one of"):
        swept.result("nothing")
    with pytest.raises(LedgerError, match="holds no finished run"):
        swept.result(swept.failed[0].name)


def test_a_folder_that_is_no_sweep_is_refused(tmp_path):
    for call in (open_sweep, resume_sweep):
        with pytest.raises(ConfigError, match=r"no sweep's folder \(no sweep\.yaml\)"):
            call(tmp_path)


def test_what_the_caller_gives_wins_over_the_file(tmp_path):
    (tmp_path / "n.yaml").write_text("models: [a:build]\nbudgets: [drop=1%]\nworkers: 1\nseeds: [4]\n")
    found = load_sweep(tmp_path / "n.yaml", ray_address="127.0.0.1:6379", workers=2)
    (cell,) = found.cells()
    assert (cell.config.executor, cell.config.ray_address, cell.config.workers) == (
        "ray",
        "127.0.0.1:6379",
        2,
    )
    assert cell.name == load_sweep(tmp_path / "n.yaml").cells()[0].name


def test_an_estimate_refuses_what_a_run_would():
    with pytest.raises(AutomlError, match="key 'strategies'"):
        estimate_sweep(make_sweep({"models": ["a:build"], "strategies": ["nothing"]}))
