"""What a ledger needs of the place that keeps its study, and the database that does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any
from typing import Protocol

from automl.ledger_file import RECORD_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Mapping
    from collections.abc import Sequence

    from optuna.storages import RDBStorage
    from optuna.study import StudyDirection

    from automl.core.candidate import Option

__all__ = ["DatabaseStudy", "StoredTrial", "Study"]


@dataclass(frozen=True)
class StoredTrial:
    """One trial as it was found.

    Args:
        number: its place in the study, from 0.
        record: what the ledger wrote beside Optuna's own fields; None when somebody else made the trial.
        params: options by dimension where they are stored as parameters.
        choices: the options there are by dimension, likewise.
        checked: whether the record's checksum was compared already.
    """

    number: int
    record: Any
    params: Mapping[str, Option]
    choices: Mapping[str, tuple[Option, ...]]
    checked: bool = False


class Study(Protocol):
    """One Optuna study with one writer; it keeps no trials in memory."""

    @property
    def repair(self) -> str | None:
        """What was repaired while the trials were read."""

    def find(self) -> bool:
        """Return whether the study exists."""

    def create(self, directions: Sequence[StudyDirection]) -> None:
        """Make the study."""

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The study's attributes; those set after its trials are there when :meth:`trials` has ended."""

    @property
    def has_trials(self) -> bool:
        """Whether there is a first trial."""

    def set_attribute(self, key: str, value: Any) -> None:
        """Set one of the study's attributes."""

    def trials(self) -> Iterator[StoredTrial]:
        """Yield all trials in order, once, after :meth:`find`."""

    def add(self, frozen: Any) -> int:
        """Store a finished Optuna trial and return the number it got."""

    def stored(self, number: int) -> StoredTrial | None:
        """Return the trial of a number that was to be added, None when it is not there."""


class DatabaseStudy:
    """A study in a database that Optuna's RDB storage takes.

    Args:
        storage: open.
        name: of the study.
    """

    #: A database repairs itself.
    repair: str | None = None

    def __init__(self, storage: RDBStorage, name: str) -> None:
        self._storage = storage
        self._name = name
        self._id = -1

    def find(self) -> bool:
        """Return whether the study exists."""
        try:
            self._id = self._storage.get_study_id_from_name(self._name)
        except KeyError:
            return False
        return True

    def create(self, directions: Sequence[StudyDirection]) -> None:
        """Make the study."""
        self._id = self._storage.create_new_study(directions, self._name)

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The study's attributes."""
        return dict(self._storage.get_study_user_attrs(self._id))

    @property
    def has_trials(self) -> bool:
        """Whether there is a first trial."""
        return bool(self._storage.get_n_trials(self._id))

    def set_attribute(self, key: str, value: Any) -> None:
        """Set one of the study's attributes."""
        self._storage.set_study_user_attr(self._id, key, value)

    def trials(self) -> Iterator[StoredTrial]:
        """Yield all trials in order."""
        yield from map(_as_stored, self._storage.get_all_trials(self._id, deepcopy=False))

    def add(self, frozen: Any) -> int:
        """Store a finished Optuna trial and return the number it got."""
        added = self._storage.create_new_trial(self._id, template_trial=frozen)
        return int(self._storage.get_trial(added).number)

    def stored(self, number: int) -> StoredTrial | None:
        """Return a trial by its number."""
        try:
            found = self._storage.get_trial_id_from_study_id_trial_number(self._id, number)
        except KeyError:
            return None
        return _as_stored(self._storage.get_trial(found))


def _as_stored(frozen: Any) -> StoredTrial:
    choices = {name: tuple(d.choices) for name, d in frozen.distributions.items() if hasattr(d, "choices")}
    return StoredTrial(frozen.number, frozen.user_attrs.get(RECORD_KEY), frozen.params, choices)
