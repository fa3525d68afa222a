"""The ledger: the record of every true evaluation, kept as an Optuna study; one writer, resume is replay.

By default the study lives in a journal file in the run folder, which ``optuna-dashboard`` opens as it is; a
Redis server or any database that Optuna's RDB storage takes serves by URL. Each trial is one journal line,
written and synced in its final state, so a killed run holds complete trials and at most one torn last line,
which is repaired.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution

from automl.core.errors import LedgerError
from automl.core.measurement import is_maximized
from automl.core.objective import Objective
from automl.core.trial_store import TrialStore
from automl.ledger_file import RECORD_KEY
from automl.ledger_file import WriterLock
from automl.ledger_file import cannot_write
from automl.ledger_file import clear_journal_lock
from automl.ledger_record import COMPACT_SCHEMA
from automl.ledger_record import DIMENSIONS_KEY
from automl.ledger_record import SCHEMA
from automl.ledger_record import RecordForm
from automl.ledger_record import wanted_schema
from automl.ledger_storage import STORAGE_ERRORS
from automl.ledger_storage import is_server
from automl.ledger_storage import location
from automl.ledger_storage import open_study
from automl.ledger_storage import public

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping
    from collections.abc import Sequence

    from automl.core.trial import Trial
    from automl.core.trial_store import TrialSequence
    from automl.ledger_study import Study
    from automl.searchspaces.space import SearchSpace

__all__ = ["SCHEMA", "Ledger", "LedgerView", "read_ledger"]

#: Seconds between attempts to reach a database server that does not answer, a minute in all.
SERVER_PATIENCE_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
_REPAIRS = "automl_repairs"
_SCHEMAS = (SCHEMA, COMPACT_SCHEMA)


@dataclass(frozen=True)
class LedgerView:
    """What a ledger holds, read without becoming its writer.

    Args:
        trials: all recorded trials in order.
        objectives: axes of the front.
        meta: the run's configuration as it was given to :meth:`Ledger.open`.
        space: fingerprint of the search space.
        repairs: what was mended when the ledger was opened.
    """

    trials: TrialSequence
    objectives: tuple[Objective, ...]
    meta: Mapping[str, Any]
    space: str
    repairs: tuple[str, ...] = ()


def read_ledger(path_or_url: Path | str, *, study_name: str = "run") -> LedgerView:
    """Return what a ledger holds; works while a run writes to it.

    Raises:
        LedgerError: there is no ledger, no such study, or it is damaged.
    """
    where = location(path_or_url)
    if isinstance(where, Path) and not where.is_file():
        raise LedgerError(f"there is no ledger at {where}; give the folder of a run that was started")
    study = open_study(where, study_name)
    try:
        if not study.find():
            raise LedgerError(f"the ledger {public(where)} has no study '{study_name}'; name one it holds")
        attributes = study.attributes
        head = _head(attributes, where)
        store = _load(study, RecordForm.stored(head["schema"], attributes), None)
        repairs = tuple(study.attributes.get(_REPAIRS, ()))
    except STORAGE_ERRORS as error:
        raise LedgerError(cannot_write(public(where), error)) from error
    return LedgerView(
        store.view(), tuple(map(Objective, head["objectives"])), head["meta"], head["space"], repairs
    )


def _load(study: Study, form: RecordForm, space: SearchSpace | None) -> TrialStore:
    """Return the trials of a study; without the space its dimensions are those of the first trial."""
    found = study.trials()
    first = next(found, None)
    dimensions = form.options(first) if space is None else [(d.name, d.options) for d in space.dimensions]
    store = TrialStore(dimensions)
    for stored in () if first is None else chain((first,), found):
        trial = form.trial(stored)
        try:
            store.append(trial)
        except (ValueError, KeyError) as error:
            raise LedgerError(
                f"trial {trial.number} of the ledger does not fit its search space: {error}; restore the "
                "ledger from a copy, or start the run in a new folder"
            ) from error
    return store


def _head(attributes: Mapping[str, Any], where: Path | str) -> dict[str, Any]:
    head = attributes.get(RECORD_KEY)
    if not isinstance(head, dict) or not {"schema", "space", "objectives", "meta"} <= set(head):
        raise LedgerError(f"the study in {public(where)} was not written by automl; choose another place")
    if head["schema"] not in _SCHEMAS:
        raise LedgerError(
            f"the ledger {public(where)} has schema {head['schema']}; this version reads schemas "
            f"{' and '.join(map(str, _SCHEMAS))}: use the version of automl that wrote it"
        )
    return head


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, dict) and value:
        return {k: v for key, inner in value.items() for k, v in _flat(inner, f"{prefix}{key}.").items()}
    return {prefix.rstrip("."): value}


class SecondWriterError(LedgerError):
    """Somebody else added a trial; waiting does not help."""


class Ledger:
    """The one writer of a run's trials; build it with :meth:`open`."""

    #: Seconds between attempts to write; empty for a file, which no server will bring back.
    patience_s: tuple[float, ...] = ()

    def __init__(self, study: Study, space: SearchSpace, objectives: Sequence[Objective]) -> None:
        self._study = study
        self._space = space
        self._objectives = tuple(objectives)
        self._lock: WriterLock | None = None
        self._where: Path | str = ""
        self._distributions = {d.name: CategoricalDistribution(d.options) for d in space.dimensions}
        self._form = RecordForm()
        self._trials = TrialStore([(d.name, d.options) for d in space.dimensions])
        self.repairs: tuple[str, ...] = ()

    @classmethod
    def open(
        cls,
        path_or_url: Path | str,
        *,
        study_name: str = "run",
        objectives: Sequence[Objective],
        space: SearchSpace,
        meta: Mapping[str, Any],
        lock: Path | None = None,
    ) -> Ledger:
        """Open or create the ledger of one run and become its only writer.

        Args:
            path_or_url: the journal file, or an Optuna RDB URL.
            study_name: name of the study, as the dashboard shows it.
            objectives: axes of the front; they become the study's directions.
            space: the search space; its options become categorical parameters.
            meta: plain JSON that must be the same when the run is continued (seed, budgets, target, ...).
            lock: the writer's lock file; ``ledger.lock`` beside a journal file by default, none for a URL.

        Raises:
            LedgerError: another writer is at work, the configuration differs, the record is damaged, or the
                place cannot be written.
        """
        where = location(path_or_url)
        if isinstance(where, Path):
            try:
                where.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise LedgerError(cannot_write(where, error)) from error
            lock = lock or where.with_name("ledger.lock")
        held = WriterLock(lock) if lock else None
        try:
            if isinstance(where, Path):
                clear_journal_lock(where)
            head = {
                "schema": wanted_schema(space),
                "space": space.fingerprint,
                "objectives": [o.metric for o in objectives],
                "meta": json.loads(json.dumps(dict(meta))),
            }
            study = open_study(where, study_name, mend=True)
            ledger = cls(study, space, objectives)
            ledger._lock, ledger._where = held, where
            ledger.patience_s = SERVER_PATIENCE_S if is_server(where) else ()
            try:
                ledger._form = RecordForm.of(_begin(study, head, where, space), space)
                ledger._trials = _load(study, ledger._form, space)
                ledger._note_repairs()
            except STORAGE_ERRORS as error:
                raise LedgerError(cannot_write(public(where), error)) from error
        except BaseException:
            if held:
                held.release()
            raise
        return ledger

    def _note_repairs(self) -> None:
        repairs = list(self._study.attributes.get(_REPAIRS, ()))
        if self._study.repair is not None:
            repairs.append(self._study.repair)
            self._study.set_attribute(_REPAIRS, repairs)
        self.repairs = tuple(repairs)

    def record(self, trial: Trial) -> None:
        """Write a finished trial; it is on disk when this returns.

        Raises:
            LedgerError: its number is not the next one, its options are not the space's, or it cannot be
                written; what was recorded before is kept.
        """
        if trial.number != len(self._trials):
            raise LedgerError(
                f"trial {trial.number} cannot be recorded; the next number is {len(self._trials)}"
            )
        try:
            frozen = self._form.frozen(trial, self._objectives, self._distributions)
        except (ValueError, KeyError, TypeError) as error:
            raise LedgerError(
                f"trial {trial.number} does not fit the run's search space: {error}; "
                "propose members of the space"
            ) from error
        self._append(frozen)
        self._trials.append(trial)

    def _append(self, frozen: Any) -> None:
        for wait_s in (*self.patience_s, None):
            try:
                self._append_once(frozen)
                return
            except SecondWriterError:
                raise
            except LedgerError:
                if wait_s is None:
                    raise
                # A database server may be restarting; the write may have arrived before it went.
                time.sleep(wait_s)
                if self._arrived(frozen):
                    return

    def _arrived(self, frozen: Any) -> bool:
        """Return whether a write whose answer was lost is in the database."""
        try:
            stored = self._study.stored(len(self._trials))
        except STORAGE_ERRORS:
            return False
        written = frozen.user_attrs[RECORD_KEY]["check"]
        return stored is not None and (stored.record or {}).get("check") == written

    def _append_once(self, frozen: Any) -> None:
        try:
            number = self._study.add(frozen)
        except STORAGE_ERRORS as error:
            _pass_on_interrupt(error)
            raise LedgerError(cannot_write(public(self._where), error)) from error
        if number != len(self._trials):
            raise SecondWriterError(
                f"another writer added trial {len(self._trials)} to {public(self._where)}; "
                "a run has one writer: stop the other one, then resume"
            )

    def trials(self) -> TrialSequence:
        """Return all recorded trials in order; those recorded later are not among them."""
        return self._trials.view()

    def close(self) -> None:
        """Give the writer's lock back; a second call does nothing."""
        if self._lock:
            self._lock.release()
            self._lock = None


def _pass_on_interrupt(error: BaseException) -> None:
    """Raise the Ctrl-C that ``error`` followed from: it broke off a write and left the lock half taken."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, KeyboardInterrupt):
            raise cause
        cause = cause.__cause__ or cause.__context__


def _quietly(call: Callable[..., Any], *arguments: Any) -> Any:
    """Return what ``call`` returns without Optuna's information lines on stderr."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return call(*arguments)
    finally:
        optuna.logging.set_verbosity(before)


def _begin(study: Study, head: Mapping[str, Any], where: Path | str, space: SearchSpace) -> int:
    """Make the study when there is none, and return the schema it is written in."""
    if not study.find():
        directions = [
            optuna.study.StudyDirection.MAXIMIZE if is_maximized(m) else optuna.study.StudyDirection.MINIMIZE
            for m in head["objectives"]
        ]
        _quietly(study.create, directions)
    attributes = study.attributes
    if not attributes.get(RECORD_KEY) and not study.has_trials:
        # New, or its writer was killed between these lines.
        if head["schema"] == COMPACT_SCHEMA:
            listed = [[d.name, list(d.options)] for d in space.dimensions]
            study.set_attribute(DIMENSIONS_KEY, listed)
        study.set_attribute(RECORD_KEY, dict(head))
        return int(head["schema"])
    stored = _head(attributes, where)
    # A ledger goes on in the form in which it was begun.
    old, new = _flat(stored), _flat({**head, "schema": stored["schema"]})
    different = [
        f"{key} is {old.get(key, 'absent')!r} there and {new.get(key, 'absent')!r} now"
        for key in sorted(old.keys() | new.keys())
        if old.get(key, "absent") != new.get(key, "absent")
    ]
    if different:
        raise LedgerError(
            f"{public(where)} belongs to another configuration: {'; '.join(different)}; "
            "use the same settings to resume, or another folder"
        )
    return int(stored["schema"])
