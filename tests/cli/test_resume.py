from __future__ import annotations

import json


def test_what_is_given_reaches_the_run_and_its_answer_is_printed(shell, digits_run, monkeypatch):
    asked = []

    def answered(run, *, workers, time, listener):
        asked.append((run, workers, time))
        return digits_run

    monkeypatch.setattr("automl.api.resume_run", answered)
    said = shell("resume", digits_run.folder, "--workers", "2", "--time", "5m", "--json")
    assert said.code == 0
    assert asked == [(digits_run.folder, 2, "5m")]
    assert json.loads(said.out)["best"] == digits_run.best.id
    assert "latency (median)" in said.err


def test_a_folder_that_is_no_run_is_refused(shell, tmp_path):
    said = shell("resume", tmp_path)
    assert said.code == 2
    assert "is not a run folder" in said.err


def test_a_time_limit_that_cannot_be_read_is_refused(shell, digits_run):
    said = shell("resume", digits_run.folder, "--time", "soon")
    assert said.code == 2
    assert "such as 10m" in said.err


def test_ctrl_c_before_the_search_says_how_to_go_on(shell, digits_run, monkeypatch):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("automl.api.resume_run", interrupted)
    said = shell("resume", digits_run.folder)
    assert said.code == 130
    assert "automl resume" in said.err


def test_the_folder_of_a_sweep_resumes_the_sweep(shell, tmp_path, monkeypatch):
    from automl.api_sweep import SweepResult
    from automl.artifact.sweep_data import SweepReport
    from tests.artifact.sweeps import cell

    (tmp_path / "sweep.yaml").write_text("models: [a:build]")
    asked = []

    def answered(folder, *, workers, listener):
        asked.append((folder, workers))
        return SweepResult(folder, SweepReport("s", (cell(),), ()))

    monkeypatch.setattr("automl.api_sweep.resume_sweep", answered)
    said = shell("resume", tmp_path, "--workers", "2", "--json")
    assert said.code == 0
    assert asked == [(tmp_path, 2)]
    assert len(json.loads(said.out)["cells"]) == 1
    refused = shell("resume", tmp_path, "--time", "5m")
    assert refused.code == 2
    assert "write time: into the sweep's file" in refused.err
