from __future__ import annotations

import json


def test_a_finished_run_is_answered_from_its_ledger(shell, copied_run):
    before = (copied_run / "ledger.journal").read_bytes()
    said = shell("resume", copied_run, "--json")
    assert said.code in (0, 3)
    assert (copied_run / "ledger.journal").read_bytes() == before
    body = json.loads(said.out)
    assert (said.code == 0) == (body["best"] is not None)
    assert said.err.count("Traceback") == 0


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
