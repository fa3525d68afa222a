"""Episodes of a policy that wait for their measurement, and outcomes that answer repeated ones at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from automl.strategies.array_state import decode_array
from automl.strategies.array_state import encode_array

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

__all__ = ["EpisodeQueue", "Episodes", "Outcome", "Outcomes"]

#: Candidates whose outcome is remembered; older ones are forgotten first.
_REMEMBERED = 20_000
#: Episodes that wait; when measurements stay away the oldest are dropped.
_WAITING = 4096


@dataclass(frozen=True, eq=False)
class Episodes:
    """Episodes of a policy.

    Args:
        keys: the candidate each one led to, see ``code_keys``; several may lead to one.
        codes: what was decided, before repair, (n, n_dimensions).
        contexts: (n, n_contexts).
        logs: log-probability of each decision when it was made, (n, n_dimensions).
        decided: which decisions were the policy's, (n, n_dimensions); the others are not trained.
        repeated: whether the candidate had been proposed before, (n,).
    """

    keys: tuple[str, ...]
    codes: NDArray[np.int64]
    contexts: Floats
    logs: Floats
    decided: NDArray[np.bool_]
    repeated: NDArray[np.bool_]

    @classmethod
    def empty(cls, n_dimensions: int, n_contexts: int) -> Episodes:
        """Return no episode."""
        return cls(
            (),
            np.empty((0, n_dimensions), dtype=np.int64),
            np.empty((0, n_contexts), dtype=np.float32),
            np.empty((0, n_dimensions), dtype=np.float32),
            np.empty((0, n_dimensions), dtype=bool),
            np.empty(0, dtype=bool),
        )

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, rows: Sequence[int]) -> Episodes:
        """Return the given rows."""
        index = np.array(rows, dtype=np.int64)
        return Episodes(
            tuple(self.keys[i] for i in rows),
            self.codes[index],
            self.contexts[index],
            self.logs[index],
            self.decided[index],
            self.repeated[index],
        )

    def joined(self, others: Episodes) -> Episodes:
        """Return these episodes and then ``others``."""
        return Episodes(
            (*self.keys, *others.keys),
            np.concatenate([self.codes, others.codes]),
            np.concatenate([self.contexts, others.contexts]),
            np.concatenate([self.logs, others.logs]),
            np.concatenate([self.decided, others.decided]),
            np.concatenate([self.repeated, others.repeated]),
        )


@dataclass(frozen=True)
class Outcome:
    """What a candidate measured.

    Args:
        values: numbers the rewards are formed from; empty when the trial failed.
    """

    values: tuple[float, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether there was nothing to measure."""
        return not self.values


class Outcomes:
    """Outcomes by candidate key, the latest 20,000."""

    def __init__(self) -> None:
        self._by_key: dict[str, Outcome] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._by_key

    def __getitem__(self, key: str) -> Outcome:
        return self._by_key[key]

    def add(self, key: str, outcome: Outcome) -> None:
        """Remember an outcome; a later one of the same candidate replaces it."""
        self._by_key.pop(key, None)
        self._by_key[key] = outcome
        if len(self._by_key) > _REMEMBERED:
            del self._by_key[next(iter(self._by_key))]

    @property
    def state(self) -> dict[str, list[float]]:
        """All of them as plain JSON, in order."""
        return {key: list(outcome.values) for key, outcome in self._by_key.items()}

    def restore(self, state: Mapping[str, Sequence[float]]) -> None:
        """Set what is remembered to a :attr:`state`."""
        self._by_key = {key: Outcome(tuple(values)) for key, values in state.items()}


class EpisodeQueue:
    """Episodes in the order they were played; full batches leave once their outcomes are known.

    Args:
        n_dimensions: decisions an episode has.
        n_contexts: context values an episode has.
    """

    def __init__(self, n_dimensions: int, n_contexts: int) -> None:
        self._empty = Episodes.empty(n_dimensions, n_contexts)
        self._waiting = self._empty

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, episodes: Episodes) -> None:
        """Let episodes wait; beyond 4,096 the oldest are dropped."""
        joined = self._waiting.joined(episodes)
        dropped = max(len(joined) - _WAITING, 0)
        self._waiting = joined.take(range(dropped, len(joined))) if dropped else joined

    def batches(self, known: Outcomes, size: int) -> list[Episodes]:
        """Remove and return batches of ``size`` episodes whose outcome is known, oldest first."""
        ready = [row for row, key in enumerate(self._waiting.keys) if key in known]
        full = len(ready) // size * size
        found = [self._waiting.take(ready[i : i + size]) for i in range(0, full, size)]
        if found:
            gone = set(ready[:full])
            self._waiting = self._waiting.take([i for i in range(len(self._waiting)) if i not in gone])
        return found

    @property
    def state(self) -> dict[str, Any]:
        """The waiting episodes as plain JSON."""
        waiting = self._waiting
        return {
            "keys": list(waiting.keys),
            "codes": encode_array(waiting.codes.astype(np.int32)),
            "contexts": encode_array(waiting.contexts),
            "logs": encode_array(waiting.logs),
            "decided": encode_array(waiting.decided.astype(np.uint8)),
            "repeated": encode_array(waiting.repeated.astype(np.uint8)),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Set the waiting episodes to a :attr:`state`."""
        self._waiting = Episodes(
            tuple(state["keys"]),
            decode_array(state["codes"]).astype(np.int64),
            decode_array(state["contexts"]),
            decode_array(state["logs"]),
            decode_array(state["decided"]).astype(bool),
            decode_array(state["repeated"]).astype(bool),
        )
