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
