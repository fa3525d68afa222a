from __future__ import annotations

import shutil

import pytest

from automl.stages.sweep import CELLS
from automl.stages.sweep import open_sweep_folder
from automl.stages.sweep_record import CellState
from automl.stages.sweep_record import CellStatus
from automl.stages.sweep_record import write_record
from automl.stages.sweep_report import sweep_report
from automl.stages.sweep_report import write_sweep_report
from automl.sweep_config import make_sweep


@pytest.fixture
def swept(tmp_path, digits_run):
    """A sweep of two cells: one holds the finished run, the other failed."""
    sweep = make_sweep(
        {"models": ["tests.digits:build"], "seeds": [0, 1], "trials": 14, "storage": "sqlite:////x/y.db"}
    )
    folder = tmp_path / "s"
    open_sweep_folder(sweep, folder)
    done, lost = sweep.cells()
    shutil.copytree(digits_run.folder, folder / CELLS / done.name)
    write_record(
        folder,
        {
            done.name: CellStatus(CellState.DONE, "", 4.0, 14),
            lost.name: CellStatus(CellState.FAILED, "disk full", 1.0, 14),
        },
    )
    return sweep, folder


def test_a_finished_cell_shows_what_its_run_found(swept, digits_run):
    done, lost = sweep_report(*swept).rows
    best, base = digits_run.best, digits_run.answer.trial0
    assert done.state == "done"
    assert done.best.id == best.id
    assert done.best.quality == best.metrics[digits_run.answer.primary].value
    assert done.best.latency_ratio == pytest.approx(
        best.metrics["latency_ms"].value / base.measurement["latency_ms"].value
    )
    sizes = [m["size_bytes"].value for m in (best.metrics, base.measurement)]
    assert done.size_ratio == pytest.approx(sizes[0] / sizes[1])
    assert len(done.front) == len(digits_run.front)
    assert done.trials == 14
    assert (swept[1] / done.link).is_file()
    assert (lost.state, lost.reason, lost.best, lost.link) == ("failed", "disk full", None, "")


def test_settings_are_those_of_every_cell(swept):
    settings = dict(sweep_report(*swept).settings)
    assert settings["trials"] == "14"
    assert not settings.keys() & {"model", "target", "budget", "strategy", "seed"}


def test_no_password_is_shown(swept, tmp_path):
    _, folder = swept
    secret = make_sweep({"models": ["tests.digits:build"], "storage": "postgresql://me:hunter2@db/x"})
    assert "hunter2" not in str(sweep_report(secret, folder))
    assert "hunter2" not in write_sweep_report(secret, folder, tmp_path / "o.html").read_text()


def test_the_report_is_written_into_the_folder(swept):
    path = write_sweep_report(*swept)
    assert path == swept[1] / "report.html"
    assert "disk full" in path.read_text()
