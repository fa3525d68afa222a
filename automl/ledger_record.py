"""A trial as the ledger stores it: the record, and the options as parameters or as one text.

In a space of at most :data:`MOST_PARAMETERS` dimensions every option is a parameter of the Optuna trial
(schema 1), which the dashboard can draw. Each parameter costs a trial about 150 bytes and 40 microseconds, so
in larger spaces the options are one text in the record, a letter a dimension (schema 2).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from typing import Any

import optuna

from automl.core.candidate import Candidate
from automl.core.errors import AutomlError
from automl.core.errors import LedgerError
from automl.core.measurement import Measurement
from automl.core.trial import Fidelity
from automl.core.trial import Trial
from automl.core.trial import TrialState
from automl.ledger_file import RECORD_KEY
from automl.ledger_file import checksum

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from optuna.distributions import CategoricalDistribution

    from automl.core.candidate import Option
    from automl.core.objective import Objective
    from automl.ledger_study import StoredTrial
    from automl.searchspaces.space import SearchSpace

__all__ = ["COMPACT_SCHEMA", "DIMENSIONS_KEY", "SCHEMA", "RecordForm", "wanted_schema"]

SCHEMA = 1
COMPACT_SCHEMA = 2
#: The study attribute that lists the dimensions of a compact ledger, for readers without the space.
DIMENSIONS_KEY = "automl_dimensions"
#: Dimensions up to which options are stored as parameters.
MOST_PARAMETERS = 64

_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DAMAGE = (ValueError, KeyError, TypeError, AttributeError, AssertionError, IndexError, AutomlError)


def wanted_schema(space: SearchSpace) -> int:
    """Return the schema in which a new ledger of this space is written."""
    fits = all(len(d.options) <= len(_LETTERS) for d in space.dimensions)
    return COMPACT_SCHEMA if len(space) > MOST_PARAMETERS and fits else SCHEMA


@dataclass(frozen=True)
class RecordForm:
    """Writes and reads the trials of one ledger.

    Args:
        dimensions: (name, options) in the order of the letters; None where options are parameters.
    """

    dimensions: tuple[tuple[str, tuple[Option, ...]], ...] | None = None

    @classmethod
    def of(cls, schema: int, space: SearchSpace) -> RecordForm:
        """Return the form of a ledger of ``schema`` on ``space``."""
        if schema != COMPACT_SCHEMA:
            return cls()
        return cls(tuple((d.name, tuple(d.options)) for d in space.dimensions))

    @classmethod
    def stored(cls, schema: int, attributes: Mapping[str, Any]) -> RecordForm:
        """Return the form of a ledger from its study's attributes.

        Raises:
            LedgerError: the attribute that lists the dimensions is missing or damaged.
        """
        if schema != COMPACT_SCHEMA:
            return cls()
        try:
            return cls(tuple((str(name), tuple(options)) for name, options in attributes[DIMENSIONS_KEY]))
        except _DAMAGE as error:
            raise LedgerError(
                f"the ledger does not say what its letters mean ({type(error).__name__}: {error}); "
                "restore it from a copy"
            ) from error

    def frozen(
        self,
        trial: Trial,
        objectives: Sequence[Objective],
        distributions: Mapping[str, CategoricalDistribution],
    ) -> Any:
        """Return the Optuna trial that records ``trial``.

        Raises:
            ValueError, KeyError, TypeError: an option is not the space's.
        """
        complete = trial.state is TrialState.COMPLETE
        letters = self._letters(trial.candidate)
        return optuna.trial.create_trial(
            state=optuna.trial.TrialState.COMPLETE if complete else optuna.trial.TrialState.FAIL,
            values=[trial.value(o.metric) for o in objectives] if complete else None,
            params=dict(trial.candidate.assignment) if letters is None else {},
            distributions=dict(distributions) if letters is None else {},
            user_attrs={RECORD_KEY: _record(trial, letters)},
        )

    def trial(self, stored: StoredTrial) -> Trial:
        """Return the trial that was stored.

        Raises:
            LedgerError: it was not written by a ledger or is damaged.
        """
        try:
            record = stored.record
            intact = stored.checked or record["check"] == checksum(record)
            if not intact or record["number"] != stored.number:
                raise ValueError("its checksum or number does not match")
            candidate = self._candidate(stored)
            if candidate.digest != record["candidate"]:
                raise ValueError("its parameters are not those that were measured")
            measurement = record["measurement"]
            return Trial(
                stored.number,
                candidate,
                TrialState(record["state"]),
                Fidelity(record["fidelity"]),
                None if measurement is None else Measurement.from_json(measurement),
                record["failure"],
                record["origin"],
                record["seconds"],
            )
        except _DAMAGE as error:
            raise LedgerError(
                f"trial {stored.number} of the ledger is damaged: {error}; restore the ledger from a copy, "
                "or start the run in a new folder"
            ) from error

    def options(self, first: StoredTrial | None) -> Sequence[tuple[str, tuple[Option, ...]]]:
        """Return the dimensions, from the first trial where options are parameters."""
        if self.dimensions is not None:
            return self.dimensions
        return () if first is None else tuple(first.choices.items())

    def _letters(self, candidate: Candidate) -> str | None:
        if self.dimensions is None:
            return None
        options = candidate.as_dict
        if len(options) != len(self.dimensions):
            raise ValueError(f"it has {len(options)} dimensions, the space has {len(self.dimensions)}")
        return "".join(_LETTERS[known.index(options[name])] for name, known in self.dimensions)

    def _candidate(self, stored: StoredTrial) -> Candidate:
        if self.dimensions is None:
            return Candidate.of(stored.params)
        letters = stored.record["options"]
        if len(letters) != len(self._tables):
            raise ValueError(f"it has {len(letters)} letters, the ledger {len(self._tables)} dimensions")
        # Letters are under the checksum: one trial shows whether they mean what they meant, and computing
        # the digest of each would be most of the time in which a large ledger opens.
        digest = stored.record["candidate"] if stored.number > 0 else None
        return Candidate.trusted(
            tuple([table[letters[position]] for position, table in self._tables]), digest
        )

    @cached_property
    def _tables(self) -> list[tuple[int, dict[str, tuple[str, Option]]]]:
        """Position and letter -> (name, option) of each dimension, by name; candidates share the pairs."""
        named = sorted(enumerate(self.dimensions or ()), key=lambda item: item[1][0])
        return [
            (position, {letter: (name, option) for letter, option in zip(_LETTERS, options, strict=False)})
            for position, (name, options) in named
        ]


def _record(trial: Trial, letters: str | None) -> dict[str, Any]:
    record: dict[str, Any] = {
        "number": trial.number,
        "candidate": trial.candidate.digest,
        "state": str(trial.state),
        "fidelity": str(trial.fidelity),
        "origin": trial.origin,
        "seconds": trial.seconds,
        "failure": trial.failure,
        "measurement": None if trial.measurement is None else trial.measurement.to_json(),
    }
    if letters is not None:
        record["options"] = letters
    # Through JSON once, so that the checksum sees what a reader will see.
    record = json.loads(json.dumps(record))
    return {**record, "check": checksum(record)}
