"""Sweep: run the cells of a sweep one after another, each a run of its own, and record how each ended."""

from __future__ import annotations

import time
from dataclasses import dataclass
from dataclasses import replace
from typing import TYPE_CHECKING

from automl.core.errors import AutomlError
from automl.core.errors import ConfigError
from automl.core.errors import LedgerError
from automl.ledger_file import WriterLock
from automl.stages.answer import ENDED_EARLY
from automl.stages.answer import read_answer
from automl.stages.check import check_config
from automl.stages.estimate_math import duration_text
from automl.stages.events import Progressed
from automl.stages.folder import stored_config
from automl.stages.secret_storage import keep_storage
from automl.stages.sweep_record import CellState
from automl.stages.sweep_record import CellStatus
from automl.stages.sweep_record import read_record
from automl.stages.sweep_record import write_record
from automl.strategies.table import strategy_class
from automl.sweep_config import read_sweep
from automl.targets.table import make_target

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from automl.config import SearchConfig
    from automl.stages.answer import Answer
    from automl.stages.events import Listener
    from automl.sweep_config import SweepCell
    from automl.sweep_config import SweepConfig

__all__ = ["CELLS", "SWEEP_FILE", "check_sweep", "is_sweep", "open_sweep_folder", "run_cells", "statuses"]

SWEEP_FILE = "sweep.yaml"
LOCK_FILE = "sweep.lock"

#: Folder of the cells' run folders inside the sweep's.
CELLS = "cells"


def is_sweep(folder: Path) -> bool:
    """Return whether a folder is a sweep's."""
    return (folder / SWEEP_FILE).is_file()


def check_sweep(sweep: SweepConfig) -> None:
    """Refuse names and settings that no model could make valid, naming the key; measures nothing.

    Raises:
        AutomlError: see :func:`automl.stages.check.check_config`.
    """
    first = sweep.cells()[0].config
    for key, names, look in (
        ("strategies", sweep.strategies, strategy_class),
        ("targets", sweep.targets, lambda n: make_target(n, threads=first.threads, batch=first.batch)),
    ):
        for name in names:
            try:
                look(name)
            except AutomlError as error:
                raise ConfigError(f"key '{key}': {error}") from None
    seen: set[str] = set()
    for cell in sweep.cells():
        options = str((cell.config.model, cell.config.input, cell.config.options))
        if options not in seen:
            seen.add(options)
            check_config(cell.config)


def open_sweep_folder(sweep: SweepConfig, folder: Path) -> None:
    """Make the folder hold this sweep; one that holds an earlier form of it is continued.

    Lists may grow and shrink between sessions: cells are told apart by their names. What all cells share may
    only change where it decides no candidate.

    Raises:
        ConfigError: the folder holds another sweep or something else, or cannot be written.
    """
    file = folder / SWEEP_FILE
    if file.exists():
        _same_sweep(sweep, read_sweep(file), folder)
    try:
        if folder.exists() and any(folder.iterdir()) and not file.exists():
            raise ConfigError(f"{folder} exists and is not a sweep's folder; choose another --run folder")
        folder.mkdir(parents=True, exist_ok=True)
        keep_storage(folder, sweep.shared.get("storage"))
        file.write_text(sweep.to_yaml(), encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"the folder {folder} cannot be written ({error.strerror or error}); choose another --run "
            "folder, or mend space and permissions"
        ) from None


def _same_sweep(wanted: SweepConfig, stored: SweepConfig, folder: Path) -> None:
    if wanted.name != stored.name:
        raise ConfigError(
            f"{folder} holds the sweep '{stored.name}', not '{wanted.name}'; choose another --run folder"
        )
    before = {cell.name: cell.config for cell in stored.cells()}
    for cell in wanted.cells():
        if cell.name not in before:
            continue
        old, new = before[cell.name].identity(), cell.config.identity()
        different = [key for key in {**new, **old} if old.get(key) != new.get(key)]
        if different:
            key = different[0]
            raise ConfigError(
                f"{folder} holds this sweep with another '{key}' ({old.get(key)!r} there, "
                f"{new.get(key)!r} here); choose another --run folder, or set it back to continue"
            )


def statuses(folder: Path, cells: tuple[SweepCell, ...]) -> dict[str, CellStatus]:
    """Return how far each cell is; an answer counts even where the record lacks it.

    A cell is done when its answer is there and it was allowed as many trials as are wanted now.
    """
    recorded = read_record(folder)
    found = {}
    for cell in cells:
        run, status = folder / CELLS / cell.name, recorded.get(cell.name, CellStatus())
        try:
            ended = _judge(read_answer(run)).state
            allowed = max(status.trials, stored_config(run).n_trials)
        except (LedgerError, ConfigError):
            ended, allowed = CellState.PENDING, 0
        if ended is CellState.DONE and allowed >= cell.config.n_trials:
            status = CellStatus(CellState.DONE, "", status.seconds, allowed)
        elif status.state is CellState.DONE:
            status = CellStatus(seconds=status.seconds)
        found[cell.name] = status
    return found


def _judge(answer: Answer) -> CellStatus:
    """Return the state that an answer leaves its cell in; the seconds are the caller's."""
    if answer.stopped_by == "interrupted":
        return CellStatus(CellState.INTERRUPTED)
    if answer.stopped_by == "error":
        note = next((n for n in answer.notes if n.startswith(ENDED_EARLY)), ENDED_EARLY)
        return CellStatus(CellState.FAILED, note)
    return CellStatus(CellState.DONE)


@dataclass
class _Session:
    """What one session of a sweep carries from cell to cell."""

    folder: Path
    run_cell: Callable[[SearchConfig, Path, Listener], Answer]
    listener: Listener
    clock: Callable[[], float]

    def run(self, cell: SweepCell) -> CellStatus:
        began = self.clock()
        try:
            status = _judge(self.run_cell(cell.config, self.folder / CELLS / cell.name, self.listener))
        except KeyboardInterrupt:
            status = CellStatus(CellState.INTERRUPTED)
        except (AutomlError, OSError, MemoryError) as error:
            text = " ".join(str(error).split()) or type(error).__name__
            status = CellStatus(CellState.FAILED, text)
        return CellStatus(status.state, status.reason, self.clock() - began, cell.config.n_trials)


def run_cells(
    sweep: SweepConfig,
    folder: Path,
    run_cell: Callable[[SearchConfig, Path, Listener], Answer],
    listener: Listener,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, CellStatus]:
    """Run every cell that is not done and return how each ended; a cell that fails does not end the sweep.

    Args:
        sweep: what to run.
        folder: opened by :func:`open_sweep_folder`.
        run_cell: (configuration, run folder, listener) -> answer; continues a run that was begun.
        listener: told what happens.
        clock: seconds from any origin.

    Raises:
        LedgerError: another process runs this sweep, or the record is damaged.
    """
    cells = sweep.cells()
    lock = WriterLock(folder / LOCK_FILE)
    try:
        found = statuses(folder, cells)
        write_record(folder, found)
        session = _Session(folder, run_cell, listener, clock)
        for number, cell in enumerate(cells, start=1):
            before = found[cell.name]
            head = (
                f"cell {number} of {len(cells)}: {', '.join(map(str, cell.label[:4]))}, seed {cell.label[4]}"
            )
            if before.state is CellState.DONE:
                listener(Progressed("cell", text=f"{head}: done before"))
                continue
            listener(Progressed("cell", text=head))
            status = session.run(cell)
            found[cell.name] = replace(status, seconds=before.seconds + status.seconds)
            write_record(folder, found)
            if status.state is CellState.INTERRUPTED:
                break
            ending = f": {status.reason}" if status.reason else ""
            text = f"{head}: {status.state} after {duration_text(status.seconds)}{ending}"
            listener(Progressed("cell", text=text))
    finally:
        lock.release()
    return found
