"""The command line as a function."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from automl.stages.answer import write_answer
from tests.cli.run_command import Shell


@pytest.fixture
def shell(monkeypatch, capfd) -> Shell:
    """Runs a command and returns exit code, standard output and standard error."""
    return Shell(monkeypatch, capfd)


@pytest.fixture
def infeasible_folder(digits_run, tmp_path):
    """The folder of an answer that meets no hard budget, made from the finished run's own numbers."""
    answer = digits_run.answer
    lost = replace(answer, front=(), best=None, nearest=answer.front, reachable={"latency_ms": (0.25, 2.0)})
    write_answer(tmp_path, lost)
    return tmp_path


@pytest.fixture
def copied_run(digits_run, tmp_path):
    """A copy of the finished run that a test may change or damage."""
    return shutil.copytree(digits_run.folder, tmp_path / digits_run.folder.name)


@pytest.fixture
def search(shell, tmp_path):
    """Runs a search of a tiny model with its tables and run folder in the test's own place."""

    def run(*arguments: object, model: str = "tests.cli.bad_models:small"):
        places = ("--run", tmp_path / "run", "--cache", tmp_path / "cache")
        few = ("--calibration", 4, "--evaluation", 4, "--trials", 3, "--effort", "quick")
        return shell("search", model, *few, *places, *arguments)

    return run
