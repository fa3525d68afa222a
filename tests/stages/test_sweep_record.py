from __future__ import annotations

import pytest

from automl.core.errors import LedgerError
from automl.stages.sweep_record import CellState
from automl.stages.sweep_record import CellStatus
from automl.stages.sweep_record import read_record
from automl.stages.sweep_record import write_record


def test_what_is_written_is_read(tmp_path):
    cells = {
        "a": CellStatus(CellState.DONE, "", 3.5, 40),
        "b": CellStatus(CellState.FAILED, "no such model", 0.1, 40),
        "c": CellStatus(),
    }
    write_record(tmp_path, cells)
    assert read_record(tmp_path) == cells
    assert [p.name for p in tmp_path.iterdir()] == ["sweep.json"]


def test_a_sweep_that_was_not_started_has_no_record(tmp_path):
    assert read_record(tmp_path) == {}


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": 1, "cells": {"a": {"state": "odd"}}}'])
def test_a_damaged_record_says_that_nothing_is_lost(tmp_path, text):
    (tmp_path / "sweep.json").write_text(text)
    with pytest.raises(LedgerError, match=r"sweep\.json is damaged.*found again by their own answers"):
        read_record(tmp_path)


def test_another_schema_is_refused(tmp_path):
    (tmp_path / "sweep.json").write_text('{"schema": 9, "cells": {}}')
    with pytest.raises(LedgerError, match="schema 9"):
        read_record(tmp_path)
