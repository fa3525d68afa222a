from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from automl.config import read_config
from automl.stages.answer import ENDED_EARLY
from automl.stages.events import Progressed

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def recorded(monkeypatch, digits_run):
    """Answers every search with the finished run and keeps the configurations that were asked for."""
    asked = []

    def answered(config, *, run=None, listener):
        listener(Progressed("search", 0, 3, "candidates"))
        asked.append((config, run))
        return digits_run

    monkeypatch.setattr("automl.api.run_config", answered)
    return asked


def test_every_option_reaches_the_configuration(shell, recorded, tmp_path):
    given = {
        "--budget": "latency=5ms",
        "--data": "val",
        "--weights": "w.safetensors",
        "--input": "1x3x32x32",
        "--target": "onnxruntime",
        "--option": "w8a8",
        "--strategy": "exact",
        "--effort": "full",
        "--trials": "30",
        "--time": "10m",
        "--seed": "3",
        "--workers": "2",
        "--executor": "ray",
        "--ray-address": "auto",
        "--threads": "2",
        "--batch": "4",
        "--calibration": "16",
        "--evaluation": "32",
        "--cache": str(tmp_path),
        "--storage": "sqlite:///x.db",
    }
    said = shell("search", "m", *(part for pair in given.items() for part in pair), "--run", tmp_path / "r")
    assert said.code == 0
    config, run = recorded[0]
    assert run == tmp_path / "r"
    assert config.budget == ("latency=5ms",)
    assert config.options == ("w8a8",)
    assert config.input == ("1x3x32x32",)
    for option, value in given.items():
        name = option.removeprefix("--").replace("-", "_")
        if name not in {"budget", "option", "input"}:
            assert str(getattr(config, name)) == value, name


def test_options_given_here_win_over_the_file(shell, recorded, digits_run, tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("model: m\nseed: 7\nbudget: latency=5ms\n")
    assert shell("search", "--config", file, "--seed", "8").code == 0
    config, _ = recorded[0]
    assert (config.model, config.seed, config.budget) == ("m", 8, ("latency=5ms",))
    assert read_config(file).seed == 7


def test_json_is_one_object_on_stdout_and_the_table_goes_to_stderr(shell, recorded, digits_run):
    said = shell("search", "m", "--json")
    assert said.code == 0
    assert said.out.count("\n") == 1
    assert json.loads(said.out)["best"] == digits_run.best.id
    assert "latency (median)" in said.err
    assert "search: 3 steps" in said.err


def test_without_a_feasible_model_the_exit_code_is_3(shell, monkeypatch, infeasible_folder):
    from automl.api import open_run

    monkeypatch.setattr("automl.api.run_config", lambda *_, **__: open_run(infeasible_folder))
    said = shell("search", "m", "--json")
    assert said.code == 3
    assert json.loads(said.out)["best"] is None
    assert json.loads(said.out)["reachable"] == {"latency_ms": [0.25, 2.0]}
    assert "0.25 ms to 2.00 ms" in said.err


def test_ctrl_c_before_the_search_is_130_and_says_how_to_go_on(shell, monkeypatch):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("automl.api.run_config", interrupted)
    said = shell("search", "m")
    assert said.code == 130
    assert "automl resume" in said.err


def test_ctrl_c_in_the_search_ends_with_the_best_so_far_and_a_resumable_run(
    shell, digits_data, shared_cache, digits_run, tmp_path
):
    # digits_run has filled the tables, so that the search begins within seconds.
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "automl.cli.app", "search", "tests.digits:build", "--json"]
    command += ["--data", str(digits_data), "--budget", "latency=1.5x", "--budget", "drop=5%"]
    command += ["--effort", "quick", "--trials", "500", "--calibration", "64", "--evaluation", "200"]
    command += ["--run", str(folder), "--cache", str(shared_cache)]
    # A shell starts background jobs with Ctrl-C ignored, and their children inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    )
    signal.signal(signal.SIGINT, before)
    journal, limit = folder / "ledger.journal", time.monotonic() + 120
    while process.poll() is None and time.monotonic() < limit and len(_measured(journal)) < 4:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    body = json.loads(out)
    assert body["trial0"]["metrics"]["latency_ms"]["value"] > 0
    before = _measured(journal)
    assert len(before) >= 4
    # Going on adds trials after those that were recorded and measures none of them again.
    said = shell("resume", folder, "--time", "1s", "--json")
    assert said.code in (0, 3)
    assert _measured(journal)[: len(before)] == before


def test_a_full_disk_in_the_search_is_one_sentence_and_the_run_goes_on_when_there_is_space(
    shell, digits_data, shared_cache, digits_run, tmp_path
):
    # No file may grow beyond 50 kB: the graphs fit, the ledger does not.
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))

    folder = tmp_path / "run"
    command = [sys.executable, "-m", "automl.cli.app", "search", "tests.digits:build", "--json"]
    command += ["--data", str(digits_data), "--budget", "latency=1.5x", "--budget", "drop=5%"]
    command += ["--effort", "quick", "--trials", "60", "--calibration", "64", "--evaluation", "200"]
    command += ["--run", str(folder), "--cache", str(shared_cache)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=200, preexec_fn=limit
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("automl: ")]
    assert said == done.stderr.splitlines()[-1:]
    assert "File too large" in said[0]
    assert "resume" in said[0]
    before = _measured(folder / "ledger.journal")
    assert 4 <= len(before) < 60
    assert shell("resume", folder, "--time", "1s").code in (0, 3)
    assert _measured(folder / "ledger.journal")[: len(before)] == before


def test_an_error_that_ends_the_search_is_the_last_line_after_the_best_so_far(shell, monkeypatch, digits_run):
    note = f"{ENDED_EARLY}: the database went away"
    answer = replace(digits_run.answer, stopped_by="error", notes=(note,))
    monkeypatch.setattr("automl.api.run_config", lambda *_, **__: replace(digits_run, answer=answer))
    said = shell("search", "m", "--json")
    assert said.code == 2
    assert json.loads(said.out)["best"] == digits_run.best.id
    last = said.err.splitlines()[-1]
    assert last.startswith(f"automl: {note}; ")
    assert "automl resume" in last


def _measured(journal: Path) -> list[tuple[int, str]]:
    from automl.core.errors import LedgerError
    from automl.ledger import read_ledger

    if not journal.exists():
        return []
    try:
        trials = read_ledger(journal, study_name=journal.parent.name).trials
    except LedgerError:
        return []
    return [(t.number, t.candidate.digest) for t in trials]
