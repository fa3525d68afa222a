"""The answer of a run: trial 0, the measured front, the pick, and what they are written to."""

from __future__ import annotations

import json
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING
from typing import Any

from automl.core.budget import Budget
from automl.core.candidate import Candidate
from automl.core.curve import LearningCurve
from automl.core.errors import AutomlError
from automl.core.errors import LedgerError
from automl.core.measurement import Measurement
from automl.core.served import ServedSite
from automl.stages.folder import no_answer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["ENDED_EARLY", "Answer", "Member", "read_answer", "write_answer"]

SCHEMA = 1
ANSWER_FILE = "answer.json"

#: How the note begins that says which error ended a search.
ENDED_EARLY = "the search ended early"


@dataclass(frozen=True)
class Member:
    """One model of the front, measured after it was reloaded from its artifact.

    Args:
        id: the first characters of the candidate's digest; names the artifact folder.
        candidate: the assignment.
        measurement: confirmed metrics.
        budgets: budget text -> whether the confirmed measurement holds it.
        artifact: folder relative to the run, or empty when none was written.
        served: which kernel serves each site, empty where the runtime does not tell.
    """

    id: str
    candidate: Candidate
    measurement: Measurement
    budgets: Mapping[str, bool] = field(default_factory=dict)
    artifact: str = ""
    served: tuple[ServedSite, ...] = ()

    @property
    def feasible(self) -> bool:
        """Whether every budget holds."""
        return all(self.budgets.values())

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "id": self.id,
            "candidate": self.candidate.as_dict,
            "measurement": self.measurement.to_json(),
            "budgets": dict(self.budgets),
            "artifact": self.artifact,
            "served": [s.to_json() for s in self.served],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Member:
        """Return the member written by :meth:`to_json`."""
        return cls(
            data["id"],
            Candidate.of(data["candidate"]),
            Measurement.from_json(data["measurement"]),
            dict(data["budgets"]),
            data["artifact"],
            tuple(map(ServedSite.from_json, data.get("served", ()))),
        )


@dataclass(frozen=True)
class Answer:
    """What a run found.

    Args:
        primary: name of the quality metric.
        target: facts of the target, plain JSON.
        trial0: the untouched model in f32.
        defaults: other untouched models measured beside it (the runtime's own float type).
        front: feasible front members, best quality first; all measured from reloaded artifacts.
        best: id of the pick, None when no candidate meets the hard budgets.
        nearest: when nothing is feasible, the front without the budgets, nearest first.
        budgets: the resolved budgets.
        reachable: metric -> (smallest, largest) measured value, for budgets that cannot be met.
        stopped_by: why the search ended.
        notes: sentences the user should read.
        curves: how what the strategy learns moved.
    """

    primary: str
    target: Mapping[str, Any]
    trial0: Member
    defaults: tuple[Member, ...]
    front: tuple[Member, ...]
    best: str | None
    nearest: tuple[Member, ...]
    budgets: tuple[Budget, ...]
    reachable: Mapping[str, tuple[float, float]]
    stopped_by: str
    notes: tuple[str, ...] = ()
    curves: tuple[LearningCurve, ...] = ()

    def member(self, member_id: str) -> Member:
        """Return the member whose id starts with ``member_id``; trial 0 is ``trial0``.

        Raises:
            LedgerError: none or several match.
        """
        everyone: dict[str, Member] = {}
        for member in (*self.front, *self.nearest, self.trial0, *self.defaults):
            everyone.setdefault(member.id, member)  # a default on the front counts with its artifact
        found = [m for name, m in everyone.items() if name.startswith(member_id)] if member_id else []
        if len(found) != 1:
            raise LedgerError(
                f"the run has no single model '{member_id}'; choose one of: {', '.join(everyone)}"
            )
        return found[0]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "schema": SCHEMA,
            "primary": self.primary,
            "target": dict(self.target),
            "trial0": self.trial0.to_json(),
            "defaults": [m.to_json() for m in self.defaults],
            "front": [m.to_json() for m in self.front],
            "best": self.best,
            "nearest": [m.to_json() for m in self.nearest],
            "budgets": [asdict(b) for b in self.budgets],
            "reachable": {k: list(v) for k, v in self.reachable.items()},
            "stopped_by": self.stopped_by,
            "notes": list(self.notes),
            "curves": [c.to_json() for c in self.curves],
        }


def write_answer(folder: Path, answer: Answer) -> None:
    """Write the answer into a run folder, atomically."""
    temporary = folder / (ANSWER_FILE + ".tmp")
    temporary.write_text(json.dumps(answer.to_json(), indent=1))
    temporary.replace(folder / ANSWER_FILE)


def read_answer(folder: Path) -> Answer:
    """Return the answer of a finished run.

    Raises:
        LedgerError: the folder holds no answer, or one of another version.
    """
    try:
        data = json.loads((folder / ANSWER_FILE).read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise LedgerError(no_answer(folder)) from None
    except (OSError, json.JSONDecodeError) as error:
        raise LedgerError(
            f"the answer in {folder} is damaged ({error}); write it again: automl resume {folder}"
        ) from None
    found = data.get("schema") if isinstance(data, dict) else None
    if found != SCHEMA:
        raise LedgerError(f"the answer in {folder} has schema {found}; this version reads schema {SCHEMA}")
    try:
        return _from_json(data)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError, AutomlError) as error:
        raise LedgerError(
            f"the answer in {folder} is damaged ({type(error).__name__}: {error}); write it again: "
            f"automl resume {folder}"
        ) from None


def _from_json(data: Mapping[str, Any]) -> Answer:
    return Answer(
        primary=data["primary"],
        target=data["target"],
        trial0=Member.from_json(data["trial0"]),
        defaults=tuple(map(Member.from_json, data["defaults"])),
        front=tuple(map(Member.from_json, data["front"])),
        best=data["best"],
        nearest=tuple(map(Member.from_json, data["nearest"])),
        budgets=tuple(Budget(**b) for b in data["budgets"]),
        reachable={k: (v[0], v[1]) for k, v in data["reachable"].items()},
        stopped_by=data["stopped_by"],
        notes=tuple(data["notes"]),
        curves=tuple(map(LearningCurve.from_json, data.get("curves", ()))),
    )
