"""Run the command line in this process and keep what it says."""

from __future__ import annotations

import logging
import sys
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from automl.cli import app

if TYPE_CHECKING:
    import pytest


@dataclass(frozen=True)
class Said:
    """What a command left behind.

    Args:
        code: exit code.
        out: standard output.
        err: standard error.
    """

    code: int
    out: str
    err: str


class Shell:
    """Runs ``automl`` commands through :func:`automl.cli.app.main`.

    Args:
        monkeypatch: sets the arguments.
        capfd: collects both streams.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capfd = capfd

    def __call__(self, *arguments: object) -> Said:
        """Run one command; an exception that is not an exit is the test's failure."""
        self._monkeypatch.setattr(sys, "argv", ["automl", *map(str, arguments)])
        self._monkeypatch.setenv("COLUMNS", "160")
        self._capfd.readouterr()
        code = 0
        levels = {name: logging.getLogger(name).level for name in ("torch.onnx", "transformers", "nncf")}
        try:
            with warnings.catch_warnings():
                app.main()
        except SystemExit as done:
            code = done.code if isinstance(done.code, int) else 0 if done.code is None else 1
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
        out, err = self._capfd.readouterr()
        return Said(code, out, err)
