"""A run folder that cannot be used gives one sentence and exit code 2, and nothing in it is lost."""

from __future__ import annotations

import errno
import json
import shutil
from typing import TYPE_CHECKING

import pytest

from automl.execution.pool import available_cpus
from tests.cli.refusal import refused

if TYPE_CHECKING:
    from pathlib import Path


def digits_search(shell, folder, data, cache, *arguments):
    given = ("--data", data, "--budget", "latency=1.5x", "--budget", "drop=5%", "--effort", "quick")
    sizes = ("--trials", 14, "--calibration", 64, "--evaluation", 200)
    return shell(
        "search", "tests.digits:build", *given, *sizes, "--run", folder, "--cache", cache, *arguments
    )


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_run_folder_of_another_configuration_says_what_differs(
    shell, copied_run, digits_data, shared_cache
):
    before = snapshot(copied_run)
    said = digits_search(shell, copied_run, digits_data, shared_cache, "--seed", "5")
    refused(said, "another configuration", "seed: 0 there, 5 here")
    assert snapshot(copied_run) == before


def test_a_place_that_cannot_be_written(shell, tmp_path):
    (tmp_path / "file").write_text("mine")

    def given(run: Path, cache: Path):
        return shell("search", "tests.cli.bad_models:small", "--run", run, "--cache", cache)

    refused(given(tmp_path / "file" / "run", tmp_path), "cannot be written")
    refused(given(tmp_path / "r", tmp_path / "file" / "x"), "--cache")
    refused(given(tmp_path / "file", tmp_path / "c"), "file")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    refused(given(tmp_path / "other", tmp_path / "c"), "not a run folder")
    assert (tmp_path / "other" / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize("what", ["artifact", "answer"])
def test_a_disk_that_fills_up_loses_no_trial(shell, copied_run, monkeypatch, what):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(copied_run / what))

    place = {
        "artifact": "automl.transforms.plan_file.np.savez",
        "answer": "automl.stages.run.write_answer",
    }[what]
    before = (copied_run / "ledger.journal").read_bytes()
    monkeypatch.setattr(place, full)
    said = shell("resume", copied_run)
    assert said.code == 2
    assert said.err.splitlines()[-1].startswith("automl: ")
    assert "No space left" in said.err.splitlines()[-1]
    assert "Traceback" not in said.err
    assert (copied_run / "ledger.journal").read_bytes() == before


def test_a_damaged_ledger_is_named_and_a_torn_last_line_is_repaired(shell, copied_run):
    journal = copied_run / "ledger.journal"
    whole = journal.read_bytes()
    lines = whole.splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:5], b"garbage\n", *lines[6:]]))
    damaged = journal.read_bytes()
    refused(shell("resume", copied_run), "ledger.journal")
    assert journal.read_bytes() == damaged
    journal.write_bytes(whole + lines[-1][: len(lines[-1]) // 2])
    said = shell("resume", copied_run)
    assert said.code in (0, 3)
    assert journal.read_bytes()[: len(whole)] == whole


def test_a_damaged_answer_configuration_or_report(shell, copied_run):
    (copied_run / "answer.json").write_text('{"schema": 1}')
    refused(shell("show", copied_run), "answer")
    (copied_run / "answer.json").write_text("{")
    refused(shell("show", copied_run), "is damaged")
    (copied_run / "config.yaml").write_text("model: 3\nmodle: x\n")
    refused(shell("resume", copied_run), "modle")
    for file in copied_run.glob("*report*.json"):
        file.write_text("{")
    refused(shell("report", copied_run), "damaged")


def test_a_damaged_artifact(shell, copied_run):
    folder = copied_run / json.loads((copied_run / "answer.json").read_text())["front"][0]["artifact"]
    weights = next(p for p in folder.iterdir() if p.suffix == ".safetensors")
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    refused(shell("bench", folder), weights.name)
    refused(shell("export", copied_run, folder.name, copied_run / "m.onnx"), weights.name)
    weights.unlink()
    refused(shell("bench", folder), "missing")
    weights.write_bytes(whole)
    (folder / "manifest.json").write_text("{}")
    refused(shell("bench", folder), "manifest.json")


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_folders_that_hold_no_run(shell, tmp_path, as_json):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.txt").write_text("mine")
    for place in (tmp_path / "none", tmp_path / "file", tmp_path / "foreign"):
        refused(shell("show", place, *as_json), str(place), "is no run folder")
        refused(shell("resume", place, *as_json), str(place), "is not a run folder")
        refused(shell("export", place, "best", tmp_path / "m.onnx"), "is no run folder")
        refused(shell("report", place), "is no run folder")
    assert (tmp_path / "foreign" / "thesis.txt").read_text() == "mine"


def test_a_run_that_is_not_finished_says_how_to_finish_it(shell, copied_run):
    for name in ("answer.json", "report.json"):
        (copied_run / name).unlink()
    for command in (("show",), ("report",)):
        refused(shell(*command, copied_run), "automl resume")


def test_settings_of_a_resumed_run_are_checked_too(shell, copied_run):
    refused(shell("resume", copied_run, "--workers", available_cpus() + 1), "does not fit this machine")
    refused(shell("resume", copied_run, "--workers", "0"), "workers=0")
    refused(shell("resume", copied_run, "--time", "0m"), "time limit '0m'")


def test_a_member_that_does_not_exist_and_a_file_without_a_name(shell, digits_run):
    refused(shell("show", digits_run.folder, "zzzz"), "no single model 'zzzz'", digits_run.best.id)
    refused(shell("export", digits_run.folder, "best", ""), "is not a file to write")


def test_exports_that_cannot_be_written(shell, digits_run, tmp_path):
    (tmp_path / "file").write_text("")
    for to in ("onnx", "openvino", "torch"):
        said = shell("export", digits_run.folder, "best", tmp_path / "file" / "m", "--to", to)
        refused(said, "file")


def test_bench_of_what_is_not_there(shell, tmp_path):
    refused(shell("bench", tmp_path / "none"), "does not exist")
    refused(shell("bench", "efficientnet_lit0"), "did you mean 'efficientnet_lite0'")
    refused(shell("bench", "tests.digits:build", "--repeats", "0"), "repeats")
    refused(shell("bench", "tests.digits:build", "--threads", available_cpus() + 1), "threads=")
    refused(shell("bench", "tests.digits:build", "--batch", "0"), "batch")
    refused(shell("bench", "tests.digits:build", "--evaluation", "0"), "evaluation")


def test_a_copy_of_a_run_elsewhere_still_opens(shell, copied_run, tmp_path):
    moved = shutil.move(str(copied_run), str(tmp_path / "moved"))
    assert shell("show", moved).code == 0
