"""Exact assignment by mixed-integer programming: one-hot options, pair terms linearized, solved by HiGHS.

For dimensions i and options a, binaries ``x[i, a]`` sum to one. A pair term over (i, j) gets continuous
``y[a, b] >= 0`` with ``sum_b y[a, b] = x[i, a]`` and ``sum_a y[a, b] = x[j, b]``, which are integral once x
is: the local-polytope form, tighter than ``y >= x + x - 1``.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import Bounds
from scipy.optimize import LinearConstraint
from scipy.optimize import milp
from scipy.sparse import coo_array
from scipy.sparse import csr_array
from scipy.sparse import vstack

from automl.core.errors import StrategyError
from automl.core.errors import unknown_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Mapping
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.strategies.base import AdditiveTables

__all__ = ["Implication", "MilpProgram", "MilpSolution", "solve_milp"]

# HiGHS works with absolute tolerances of 1e-6; rows are scaled so that those are 1e-9 of the range
_ROW_SCALE = 1e3
_OBJECTIVE_SCALE = 1e5


@dataclass(frozen=True)
class Implication:
    """Dimension ``child`` takes ``option`` unless ``parent`` takes one of ``values``; all are positions."""

    child: int
    option: int
    parent: int
    values: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class MilpSolution:
    """What the solver found.

    Args:
        code: (n_dimensions,), or None when nothing feasible was found.
        value: the minimized metric of ``code`` by the tables; NaN without a code.
        gap: proven relative distance to the optimum; 0 when optimal, infinite without a bound.
        status: ``optimal``, ``time limit`` or ``infeasible``.
    """

    code: NDArray[np.int64] | None
    value: float
    gap: float
    status: str


class MilpProgram:
    """The constraint system of one set of tables, reused for many limits.

    Args:
        tables: additive prices; every metric prices the same options.
        implications: activity conditions of the space.
    """

    def __init__(self, tables: AdditiveTables, implications: Sequence[Implication] = ()) -> None:
        self.tables = tables
        first = next(iter(tables.unary.values()))
        self._sizes = [len(values) for values in first]
        for metric, values in tables.unary.items():
            if [len(v) for v in values] != self._sizes:
                raise StrategyError(f"table of '{metric}' does not list the same options as the others")
        self._starts = np.concatenate([[0], np.cumsum(self._sizes)]).astype(np.int64)
        self._pairs: dict[tuple[int, int], int] = {}
        position = int(self._starts[-1])
        for i, j in sorted({pair for terms in tables.pairwise.values() for pair in terms}):
            self._pairs[i, j] = position
            position += self._sizes[i] * self._sizes[j]
        self._n_variables = position
        self._structure = self._structure_rows(implications)
        self._rows = {metric: self._row(metric) for metric in tables.unary}

    def _row(self, metric: str) -> NDArray[np.float64]:
        row = np.zeros(self._n_variables)
        row[: self._starts[-1]] = np.concatenate(self.tables.unary[metric])
        for pair, values in self.tables.pairwise.get(metric, {}).items():
            start = self._pairs[pair]
            row[start : start + values.size] = values.ravel()
        if not np.isfinite(row).all():
            raise StrategyError(f"table of '{metric}' holds a price that is not finite")
        return row

    def _structure_rows(self, implications: Sequence[Implication]) -> list[LinearConstraint]:
        equal: list[tuple[dict[int, float], float]] = []
        for start, size in zip(self._starts, self._sizes, strict=False):
            equal.append((dict.fromkeys(range(int(start), int(start) + size), 1.0), 1.0))
        for (i, j), start in self._pairs.items():
            rows, columns = self._sizes[i], self._sizes[j]
            for a in range(rows):
                cells = dict.fromkeys(range(start + a * columns, start + (a + 1) * columns), 1.0)
                equal.append(({**cells, int(self._starts[i]) + a: -1.0}, 0.0))
            for b in range(columns):
                cells = dict.fromkeys(range(start + b, start + rows * columns, columns), 1.0)
                equal.append(({**cells, int(self._starts[j]) + b: -1.0}, 0.0))
        constraints = [self._constraint(equal, exact=True)]
        at_most: list[tuple[dict[int, float], float]] = []
        for rule in implications:
            parents = {int(self._starts[rule.parent]) + v: -1.0 for v in rule.values}
            others = (o for o in range(self._sizes[rule.child]) if o != rule.option)
            at_most += [({**parents, int(self._starts[rule.child]) + o: 1.0}, 0.0) for o in others]
        if at_most:
            constraints.append(self._constraint(at_most, exact=False))
        return constraints

    def _constraint(self, rows: list[tuple[dict[int, float], float]], *, exact: bool) -> LinearConstraint:
        row_index = [r for r, (cells, _) in enumerate(rows) for _ in cells]
        columns = [c for cells, _ in rows for c in cells]
        data = [v for cells, _ in rows for v in cells.values()]
        matrix = csr_array(coo_array((data, (row_index, columns)), shape=(len(rows), self._n_variables)))
        right = np.array([value for _, value in rows])
        return LinearConstraint(matrix, right if exact else np.full(len(rows), -np.inf), right)

    def solve(
        self,
        weights: Mapping[str, float],
        limits: Mapping[str, float],
        *,
        seconds: float = 10.0,
        gap: float = 0.0,
    ) -> MilpSolution:
        """Return the code that minimizes the weighted sum of metrics within upper limits.

        Args:
            weights: metric -> weight in the minimized sum.
            limits: metric -> largest allowed predicted value, constants included.
            seconds: time limit; the best code found by then is returned with its gap.
            gap: relative distance to the optimum at which the solver may stop.

        Raises:
            StrategyError: a metric has no table.
        """
        for metric in (*weights, *limits):
            if metric not in self._rows:
                raise StrategyError(unknown_name("priced metric", metric, self._rows))
        objective = np.sum([w * self._rows[m] for m, w in weights.items()], axis=0)
        tightened = dict(limits)
        for _ in range(4):
            solution = self._solve_once(objective, tightened, seconds, gap)
            if solution.code is None:
                return solution
            broken = self._broken(solution.code, limits)
            value = float(sum(w * self.tables.predict(m, solution.code[None])[0] for m, w in weights.items()))
            if not broken:
                return MilpSolution(solution.code, value, solution.gap, solution.status)
            # the solver's feasibility tolerance let the limit slip; ask again a little inside it
            for metric, excess in broken.items():
                tightened[metric] -= 2 * excess
        return MilpSolution(None, float("nan"), float("inf"), "infeasible")

    def _broken(self, code: NDArray[np.int64], limits: Mapping[str, float]) -> dict[str, float]:
        broken = {}
        for metric, limit in limits.items():
            excess = float(self.tables.predict(metric, code[None])[0]) - limit
            if excess > 1e-10 * max(1.0, abs(limit)):
                broken[metric] = excess
        return broken

    def _solve_once(
        self, objective: NDArray[np.float64], limits: Mapping[str, float], seconds: float, gap: float
    ) -> MilpSolution:
        constraints = list(self._structure)
        if limits:
            rows, uppers = [], []
            for metric, limit in limits.items():
                row, upper = self._scaled(metric, limit)
                rows.append(row)
                uppers.append(upper)
            matrix = vstack([csr_array(row[None]) for row in rows], format="csr")
            constraints.append(LinearConstraint(matrix, np.full(len(rows), -np.inf), np.array(uppers)))
        spread = float(np.ptp(objective)) or 1.0
        integrality = np.zeros(self._n_variables, dtype=np.int64)
        integrality[: self._starts[-1]] = 1
        with _silent_stdout():
            result = milp(
                objective * (_OBJECTIVE_SCALE / spread),
                integrality=integrality,
                bounds=Bounds(0, 1),
                constraints=constraints,
                options={"time_limit": seconds, "mip_rel_gap": gap},
            )
        if result.x is None:
            status = "infeasible" if result.status == 2 else "time limit"
            return MilpSolution(None, float("nan"), float("inf"), status)
        code = np.array(
            [int(np.argmax(result.x[s : s + n])) for s, n in zip(self._starts, self._sizes, strict=False)]
        )
        # with nothing integral left after presolve HiGHS gives no gap
        reached = 0.0 if result.status == 0 and gap == 0.0 else _finite(result.mip_gap)
        status = "optimal" if result.status == 0 else "time limit"
        return MilpSolution(code, float("nan"), reached, status)

    def _scaled(self, metric: str, limit: float) -> tuple[NDArray[np.float64], float]:
        """Return the row of ``metric`` and its upper bound, shifted and scaled to a range of about 1e3."""
        row = self._rows[metric].copy()
        upper = limit - self.tables.constant.get(metric, 0.0)
        for start, size in zip(self._starts, self._sizes, strict=False):
            # options of a dimension sum to one, so its smallest price may move to the right-hand side
            least = row[start : start + size].min()
            row[start : start + size] -= least
            upper -= least
        largest = sum(
            row[start : start + size].max() for start, size in zip(self._starts, self._sizes, strict=False)
        )
        scale = _ROW_SCALE / (float(largest) or 1.0)
        return row * scale, upper * scale


def _finite(gap: float | None) -> float:
    return float("inf") if gap is None or not np.isfinite(gap) else float(gap)


@contextmanager
def _silent_stdout() -> Iterator[None]:
    """Drop what the solver writes to standard output from C++: that stream belongs to the answer."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def solve_milp(
    tables: AdditiveTables,
    minimize: str,
    limits: Mapping[str, float],
    *,
    implications: Sequence[Implication] = (),
    seconds: float = 10.0,
) -> MilpSolution:
    """Return the code that minimizes one metric of ``tables`` within upper ``limits`` on others.

    See :class:`MilpProgram` for the arguments and errors.
    """
    return MilpProgram(tables, implications).solve({minimize: 1.0}, limits, seconds=seconds)
