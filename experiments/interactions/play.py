"""One strategy against a recorded table: what answers, and the hypervolume after every evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Protocol

import numpy as np
from recorded_table import digits
from recorded_table import measurement_of

from automl.core.indicators import hypervolume
from automl.core.trial import Fidelity
from automl.core.trial import Trial
from automl.core.trial import TrialState
from automl.strategies.base import MultiFidelity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emulator import Emulator
    from recorded_table import Recorded

    from automl.core.candidate import Candidate
    from automl.strategies.base import Strategy

BATCH = 8


class Answers(Protocol):
    """What stands for measuring."""

    def evaluate(self, candidates: list[Candidate]) -> list[tuple[Candidate, np.ndarray]]:
        """Return (what was evaluated, its values) for each candidate; fewer when there are no more."""


class Emulated:
    """Evaluates what was asked for by the emulator.

    Args:
        recorded: the table.
        emulator: fitted to it.
    """

    def __init__(self, recorded: Recorded, emulator: Emulator) -> None:
        self._space, self._emulator = recorded.space, emulator

    def evaluate(self, candidates: list[Candidate]) -> list[tuple[Candidate, np.ndarray]]:
        """Return every candidate with its values."""
        return list(zip(candidates, self._emulator.answer(self._space.encode(candidates)), strict=True))


class Nearest:
    """Evaluates, instead of what was asked for, the nearest recorded candidate that was not used yet.

    Args:
        recorded: the table.
    """

    def __init__(self, recorded: Recorded) -> None:
        self._space = recorded.space
        self._codes, self._points = recorded.codes, recorded.points
        self._free = (self._codes != self._space.default_code).any(axis=1)

    def evaluate(self, candidates: list[Candidate]) -> list[tuple[Candidate, np.ndarray]]:
        """Return recorded candidates with what was measured of them."""
        found = []
        for code in self._space.encode(candidates):
            if not self._free.any():
                break
            far = (self._codes != code).sum(axis=1) + np.where(self._free, 0, code.size + 1)
            row = int(far.argmin())
            self._free[row] = False
            found.append((self._space.decode(self._codes[row]), self._points[row]))
        return found


class Volume:
    """The hypervolume of what was found so far, as a share of a box.

    Args:
        ideal: lower corner, (2,).
        reference: upper corner, (2,).
    """

    def __init__(self, ideal: np.ndarray, reference: np.ndarray) -> None:
        self._ideal, self._reference = ideal, reference
        self._front = np.empty((0, 2))
        self.value = 0.0

    def add(self, point: np.ndarray) -> float:
        """Take a point in and return the volume."""
        scaled = (np.maximum(point, self._ideal) - self._ideal) / (self._reference - self._ideal)
        if (scaled < 1).all() and not (self._front <= scaled).all(axis=1).any():
            kept = self._front[~(scaled <= self._front).all(axis=1)]
            self._front = np.concatenate([kept, scaled[None]])
            self.value = hypervolume(self._front, np.ones(2))
        return self.value


def box_of(recorded: Recorded) -> tuple[np.ndarray, np.ndarray]:
    """Return ideal and reference point: no divergence at the least latency measured; the worst uniform ones.

    The reference is the untouched model's latency and the largest divergence of a uniform candidate: what
    is slower or worse than that nobody would serve.
    """
    known = {row.code: row for row in recorded.rows}
    uniform = [known[code] for code in recorded.head["uniform"] if code in known]
    trial0 = known[digits(recorded.space.default_code)]
    ideal = np.array([0.0, float(recorded.points[:, 1].min())])
    return ideal, np.array([max(row.kl for row in uniform), trial0.latency_ms])


def volumes(recorded: Recorded, strategy: Strategy, answers: Answers, evaluations: int) -> Iterator[float]:
    """Yield the hypervolume after every evaluation; ends early when there is no more to propose."""
    space, volume = recorded.space, Volume(*box_of(recorded))
    trial0 = next(row for row in recorded.rows if row.code == digits(space.default_code))
    done = TrialState.COMPLETE
    strategy.tell([Trial(0, space.default, done, measurement=trial0.measurement, origin="baseline")])
    spent = 0
    while spent < evaluations:
        asked = strategy.ask(min(BATCH, evaluations - spent))
        found = answers.evaluate(asked)
        if not found:
            return
        trials = [
            Trial(1 + spent + i, c, done, _fidelity(strategy, c), measurement_of(v), seconds=1.0)
            for i, (c, v) in enumerate(found)
        ]
        strategy.tell(trials)
        for trial, (_, values) in zip(trials, found, strict=True):
            spent += 1
            yield volume.add(values) if trial.fidelity is Fidelity.FULL else volume.value


def _fidelity(strategy: Strategy, candidate: Candidate) -> Fidelity:
    return strategy.fidelity(candidate) if isinstance(strategy, MultiFidelity) else Fidelity.FULL
