"""The recorded table: a space with prices as JSON, and one CSV line a measured candidate."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from automl.core.measurement import METRIC_UNITS
from automl.core.measurement import Measurement
from automl.core.measurement import Metric
from automl.core.objective import Objective
from automl.searchspaces.dimension import Dimension
from automl.searchspaces.space import SearchSpace
from automl.strategies.base import AdditiveTables
from automl.strategies.base import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from automl.core.candidate import Candidate

METRICS = ("kl", "latency_ms")
OBJECTIVES = tuple(Objective(m) for m in METRICS)
COLUMNS = ("kind", "code", "kl", "agreement", "accuracy", "latency_ms", "low_ms", "high_ms", "drift")


@dataclass(frozen=True)
class Row:
    """One candidate as it was measured; ``code`` has a digit a dimension."""

    kind: str
    code: str
    kl: float
    agreement: float
    accuracy: float
    latency_ms: float
    low_ms: float
    high_ms: float
    drift: float

    @property
    def measurement(self) -> Measurement:
        """What a strategy is told."""
        return measurement_of((self.kl, self.latency_ms))


def measurement_of(values: Iterable[float]) -> Measurement:
    """Return the measurement of a pair of values of :data:`METRICS`."""
    return Measurement({m: Metric(float(v), METRIC_UNITS[m]) for m, v in zip(METRICS, values, strict=True)})


def read_rows(file: Path) -> list[Row]:
    """Return the rows that are there; a line cut off by a stop is left out."""
    if not file.exists():
        return []
    with file.open(newline="") as stream:
        lines = [line for line in csv.reader(stream) if len(line) == len(COLUMNS) and line[0] != "kind"]
    return [Row(line[0], line[1], *map(float, line[2:])) for line in lines]


def append_row(file: Path, row: Row) -> None:
    """Append one line, complete or not at all; starts the file with the names of the columns."""
    numbers = [row.kl, row.agreement, row.accuracy, row.latency_ms, row.low_ms, row.high_ms, row.drift]
    text = ",".join([row.kind, row.code, *(f"{n:.6g}" for n in numbers)]) + "\n"
    with file.open("a") as stream:
        if stream.tell() == 0:
            stream.write(",".join(COLUMNS) + "\n")
        stream.write(text)


def digits(code: np.ndarray) -> str:
    """Return a code as text."""
    return "".join(map(str, code.tolist()))


def codes_of(texts: Iterable[str]) -> np.ndarray:
    """Return codes (n, n_dimensions) of texts."""
    return np.array([[int(c) for c in text] for text in texts], dtype=np.int64)


def write_head(file: Path, problem: Problem, facts: dict[str, Any]) -> None:
    """Write the space, its prices and the seeds."""
    tables = problem.tables
    if tables is None:
        raise SystemExit("no latency model could be fitted, so there are no prices to record")
    rows = [[d.kind, d.site, list(d.options), d.default, list(d.sites)] for d in problem.space.dimensions]
    head = {
        **facts,
        "dimensions": rows,
        "unary": {m: [v.tolist() for v in tables.unary[m]] for m in (*METRICS, "size_bytes")},
        "pairwise": {f"{i},{j}": v.tolist() for (i, j), v in tables.pairwise.get("latency_ms", {}).items()},
        "constant": dict(tables.constant),
        "seeds": [digits(c) for c in problem.space.encode(problem.seeds)],
    }
    file.write_text(json.dumps(head) + "\n")


@dataclass(frozen=True, eq=False)
class Recorded:
    """A table read back.

    Args:
        name: of the model.
        head: what :func:`write_head` wrote.
        rows: in the order they were measured.
    """

    name: str
    head: dict[str, Any]
    rows: list[Row]

    @property
    def space(self) -> SearchSpace:
        """The space that was searched."""
        return SearchSpace(
            tuple(Dimension(k, s, tuple(o), d, sites=tuple(i)) for k, s, o, d, i in self.head["dimensions"])
        )

    @property
    def tables(self) -> AdditiveTables:
        """Prices as the product measured them; latency with the pairs of its model."""
        pairs = {
            (int(a), int(b)): np.array(v)
            for (a, b), v in ((key.split(","), v) for key, v in self.head["pairwise"].items())
        }
        return AdditiveTables(
            {m: tuple(np.array(v) for v in rows) for m, rows in self.head["unary"].items()},
            {"latency_ms": pairs},
            self.head["constant"],
        )

    @property
    def codes(self) -> np.ndarray:
        """Codes of the rows, (n, n_dimensions)."""
        return codes_of(row.code for row in self.rows)

    @property
    def points(self) -> np.ndarray:
        """Measured values of :data:`METRICS`, (n, 2)."""
        return np.array([[row.kl, row.latency_ms] for row in self.rows])

    def problem(self, seed: int, *, priced: bool) -> Problem:
        """Return the problem a strategy is given; without prices it has no seeds either."""
        space, tables = self.space, self.tables
        if not priced:
            return Problem(space, OBJECTIVES, seed=seed)

        def predict(codes: np.ndarray) -> np.ndarray:
            return np.stack([tables.predict(m, codes) for m in METRICS], axis=1)

        seeds: tuple[Candidate, ...] = tuple(space.decode(c) for c in codes_of(self.head["seeds"]))
        return Problem(space, OBJECTIVES, (), seed, tables, predict, seeds)


def read_table(folder: Path, name: str, most: int | None = None) -> Recorded:
    """Return a recorded table, of the first ``most`` rows when given.

    Raises:
        SystemExit: it is not there.
    """
    file = folder / f"{name}.json"
    if not file.is_file():
        raise SystemExit(f"{file} is not there: record it with record.py --model {name}")
    return Recorded(name, json.loads(file.read_text()), read_rows(folder / f"{name}.csv")[:most])
