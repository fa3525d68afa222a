from __future__ import annotations

import json
from dataclasses import replace

import pytest

from automl.api_sweep import SweepResult
from automl.artifact.sweep_data import SweepReport
from automl.stages.sweep_estimate import CellEstimate
from tests.artifact.sweeps import cell
from tests.artifact.sweeps import example_sweep


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text("models: [tests.digits:build]\nseeds: [0, 1]\ntrials: 5\n")
    return path


@pytest.fixture
def ending(monkeypatch, tmp_path):
    """Let sweeps end with given rows; returns what was asked for."""
    asked = []

    def end_with(*rows):
        def run(wanted, *, run, listener):
            asked.append((wanted, run))
            return SweepResult(tmp_path / "out", SweepReport("s", rows, ()))

        monkeypatch.setattr("automl.api_sweep.run_sweep", run)
        return asked

    return end_with


def test_met_budgets_everywhere_end_with_0_and_one_json_object(shell, file, ending, tmp_path):
    asked = ending(cell(), cell(seed=1, name="b"))
    said = shell("sweep", file, "--run", tmp_path / "x", "--workers", "2", "--json")
    assert said.code == 0
    assert len(json.loads(said.out)["cells"]) == 2
    wanted, run = asked[0]
    assert run == tmp_path / "x"
    assert [c.config.workers for c in wanted.cells()] == [2, 2]


@pytest.mark.parametrize(
    "row",
    [
        cell(state="failed", points=(), reason="no model"),
        cell(points=((0.7, 0.7, False),)),
    ],
    ids=["failed", "infeasible"],
)
def test_a_cell_without_an_answer_ends_with_3(shell, file, ending, row):
    ending(cell(), replace(row, name="b"))
    assert shell("sweep", file).code == 3


def test_cells_that_are_left_end_with_130(shell, file, ending):
    ending(*example_sweep().rows)
    said = shell("sweep", file)
    assert said.code == 130
    assert "automl resume" in said.err


def test_a_dry_run_lists_the_cells_and_runs_nothing(shell, file, ending, monkeypatch):
    asked = ending(cell())
    monkeypatch.setattr(
        "automl.api_sweep.estimate_sweep",
        lambda wanted: tuple(CellEstimate(c, {"search": 90.0}) for c in wanted.cells()),
    )
    said = shell("sweep", file, "--dry-run", "--json")
    assert said.code == 0
    assert [c["seed"] for c in json.loads(said.out)["cells"]] == [0, 1]
    assert "2 cells, 10 trials, about 3 min" in said.err
    assert asked == []


def test_a_dry_run_with_a_cell_that_cannot_run_ends_with_3(shell, file, monkeypatch):
    monkeypatch.setattr(
        "automl.api_sweep.estimate_sweep",
        lambda wanted: tuple(CellEstimate(c, {}, "no such model") for c in wanted.cells()),
    )
    said = shell("sweep", file, "--dry-run")
    assert said.code == 3
    assert said.err.count("no such model") == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("modles: [a]", "unknown key 'modles'; did you mean 'models'?"),
        ("models: [a]\nstrategies: [randon]", "key 'strategies': unknown strategy 'randon'"),
        ("models: [a]\nbudgets: [latency=-1ms]", "key 'budgets'"),
        ("models: [a", "is not YAML at line"),
    ],
)
def test_a_bad_file_is_one_sentence_and_2(shell, tmp_path, text, said):
    (tmp_path / "s.yaml").write_text(text)
    found = shell("sweep", tmp_path / "s.yaml", "--run", tmp_path / "out")
    assert found.code == 2
    assert said in found.err
    assert found.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_cluster_that_does_not_answer_is_named_before_anything_runs(shell, file, tmp_path):
    said = shell("sweep", file, "--ray-address", "127.0.0.1:1", "--run", tmp_path / "out")
    assert said.code == 2
    assert "cluster at '127.0.0.1:1'" in said.err
    assert not (tmp_path / "out").exists()
