"""The record of a sweep: which cells ended how, in ``sweep.json`` of the sweep's folder."""

from __future__ import annotations

import json
from dataclasses import asdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from automl.core.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["CellState", "CellStatus", "read_record", "write_record"]

SCHEMA = 1
RECORD_FILE = "sweep.json"


class CellState(StrEnum):
    """How far a cell is."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class CellStatus:
    """How one cell ended.

    Args:
        state: how far it is.
        reason: why it failed, empty otherwise.
        seconds: wall time of the sessions it took.
        trials: how many candidates the search was allowed when it ended.
    """

    state: CellState = CellState.PENDING
    reason: str = ""
    seconds: float = 0.0
    trials: int = 0


def write_record(folder: Path, cells: Mapping[str, CellStatus]) -> None:
    """Write the record of all cells, by name, in one rename."""
    body = {"schema": SCHEMA, "cells": {name: asdict(status) for name, status in cells.items()}}
    temporary = folder / f".{RECORD_FILE}.tmp"
    temporary.write_text(json.dumps(body, indent=1), encoding="utf-8")
    temporary.replace(folder / RECORD_FILE)


def read_record(folder: Path) -> dict[str, CellStatus]:
    """Return what is recorded of each cell; empty for a sweep that was not started.

    Raises:
        LedgerError: the record is damaged or of another version.
    """
    file = folder / RECORD_FILE
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        if data["schema"] != SCHEMA:
            raise LedgerError(f"{file} has schema {data['schema']}; this version reads schema {SCHEMA}")
        return {
            name: CellStatus(
                CellState(row["state"]), str(row["reason"]), float(row["seconds"]), int(row["trials"])
            )
            for name, row in data["cells"].items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, LedgerError):
            raise
        raise LedgerError(
            f"{file} is damaged ({type(error).__name__}: {error}); delete it: finished cells are found again "
            "by their own answers"
        ) from None
