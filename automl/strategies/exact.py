"""The exact solver as a strategy: what the additive prices say is best, then what lies around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any
from typing import ClassVar

import numpy as np

from automl.core.errors import StrategyError
from automl.strategies.base import StrategyInfo
from automl.strategies.frontier_math import Frontier
from automl.strategies.frontier_math import frontier
from automl.strategies.milp_math import Implication
from automl.strategies.milp_math import MilpProgram
from automl.strategies.milp_math import MilpSolution
from automl.strategies.neighbour_math import near_optimal_codes
from automl.strategies.operators.dedup import SeenCodes
from automl.strategies.saved_state import check_state

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.core.candidate import Candidate
    from automl.core.trial import Trial
    from automl.searchspaces.space import SearchSpace
    from automl.strategies.base import AdditiveTables
    from automl.strategies.base import Problem

__all__ = ["Exact", "ExactSettings"]

# fractions of the budget whose optima are also proposed, the nearest first
_AROUND = (0.98, 1.02, 0.95, 1.05, 0.9, 1.1, 0.85, 1.15, 0.8, 1.25, 0.7, 1.4, 0.6, 1.6, 0.5, 2.0)


@dataclass(frozen=True)
class ExactSettings:
    """How much the exact solver proposes.

    Args:
        front_points: how many other points of the additive front are proposed at most.
        neighbours: how many near-optimal neighbours of the optimum are proposed at most.
        seconds: time limit of one integer program; the best code by then is proposed and its gap reported.
            A limit that is hit makes the answer depend on the machine.
        sweep_gap: relative gap at which the programs of the sweep around the budget may stop.
        max_bins: size at which the dynamic program starts to bin costs; see ``frontier``.
    """

    front_points: int = 32
    neighbours: int = 64
    seconds: float = 10.0
    sweep_gap: float = 1e-4
    max_bins: int = 4096


class Exact:
    """Proposes what the additive prices say is best, then what lies around it, each code once.

    1. The optimum of the first objective within all priced budgets (with soft ones also within the hard ones
       alone), or, when nothing fits, what comes nearest;
    2. further points of the additive front, the nearest to the budget first;
    3. codes one or two decisions from the optimum that still fit, the least damage first.

    Without pair terms and conditions and with at most one limit the dynamic program gives the whole front;
    otherwise HiGHS solves an integer program a point. Budgets on metrics without a table are not considered.

    Args:
        problem: a problem with tables; the first objective must have one (an additive proxy may stand there).
        settings: see :class:`ExactSettings`; its defaults when None.

    Raises:
        StrategyError: no tables, no table for the first objective, or tables that do not fit the space.
    """

    info: ClassVar[StrategyInfo] = StrategyInfo(
        name="exact",
        summary="proven optimum of the additive prices at the budgets, then the front around it",
        paper="Patch-wise Mixed-Precision Quantization of Vision Transformer, arXiv 2305.06559 (front)",
        needs_tables=True,
        finite=True,
        uses_tables=True,
    )

    def __init__(self, problem: Problem, *, settings: ExactSettings | None = None) -> None:
        self._space = problem.space
        self._settings = settings or ExactSettings()
        self._tables = _checked_tables(problem)
        self._minimize = problem.objectives[0].metric
        self._limits = _limits(problem, hard_only=False)
        self._hard = _limits(problem, hard_only=True)
        others = [m for m in (*self._limits, *(o.metric for o in problem.objectives)) if m != self._minimize]
        self._sweep = next((m for m in others if m in self._tables.unary), None)
        self._seen = SeenCodes()
        self._seen.add(self._space.default_code[None])
        self._queue: list[list[int]] = []
        self._stage = 0
        self._optimum: list[int] | None = None
        self._solutions: list[dict[str, Any]] = []
        self._cached_program: MilpProgram | None = None
        self._cached_front: Frontier | None = None

    @property
    def solutions(self) -> list[dict[str, Any]]:
        """What was solved so far: limits, value, relative gap, status and method, as plain JSON."""
        return [dict(row) for row in self._solutions]

    def ask(self, count: int) -> list[Candidate]:
        """Return up to ``count`` codes, none twice; empty when every stage is done."""
        stages = (self._at_budget, self._around_budget, self._near_optimum)
        asked: list[NDArray[np.int64]] = []
        while len(asked) < count:
            if self._queue:
                code = np.array(self._queue.pop(0), dtype=np.int64)
                if len(self._seen.fresh(code[None])):
                    self._seen.add(code[None])
                    asked.append(code)
            elif self._stage < len(stages):
                found = stages[self._stage]()
                self._stage += 1
                self._queue = self._space.repair(found).tolist()
            else:
                break
        return [self._space.decode(code) for code in asked]

    def tell(self, trials: Sequence[Trial]) -> None:
        """Remember what was evaluated elsewhere; measurements do not change what the prices say."""
        self._seen.add(self._space.encode([t.candidate for t in trials]))

    def state_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "strategy": self.info.name,
            "space": self._space.fingerprint,
            "stage": self._stage,
            "queue": [list(row) for row in self._queue],
            "optimum": self._optimum,
            "solutions": self.solutions,
            "seen": self._seen.keys,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore :meth:`state_dict`.

        Raises:
            StrategyError: the state belongs to another strategy or space.
        """
        check_state(state, self.info.name, self._space.fingerprint)
        self._stage = int(state["stage"])
        self._queue = [list(row) for row in state["queue"]]
        self._optimum = None if state["optimum"] is None else list(state["optimum"])
        self._solutions = [dict(row) for row in state["solutions"]]
        self._seen = SeenCodes(state["seen"])

    @property
    def _separable(self) -> bool:
        """Whether the dynamic program gives the front of the first objective against the swept metric."""
        coupled = any(self._tables.pairwise.get(m) for m in (self._minimize, self._sweep) if m)
        return self._sweep is not None and not coupled and not self._space.conditions

    @property
    def _program(self) -> MilpProgram:
        if self._cached_program is None:
            self._cached_program = MilpProgram(self._tables, _implications(self._space))
        return self._cached_program

    @property
    def _front(self) -> Frontier:
        if self._cached_front is None:
            values = self._tables.unary[self._minimize]
            costs = self._tables.unary[self._sweep or self._minimize]
            self._cached_front = frontier(values, costs, max_bins=self._settings.max_bins)
        return self._cached_front

    def _solve(self, weights: Mapping[str, float], limits: Mapping[str, float], gap: float) -> MilpSolution:
        solution = self._program.solve(weights, limits, seconds=self._settings.seconds, gap=gap)
        self._note(limits, solution, "milp")
        return solution

    def _note(self, limits: Mapping[str, float], solution: MilpSolution, method: str) -> None:
        known = solution.code is not None
        self._solutions.append(
            {
                "limits": dict(limits),
                "value": solution.value if known else None,
                "gap": solution.gap if np.isfinite(solution.gap) else None,
                "status": solution.status,
                "method": method,
            }
        )

    def _best_within(self, limits: Mapping[str, float]) -> NDArray[np.int64] | None:
        if self._separable and set(limits) == {self._sweep}:
            (limit,) = limits.values()
            sweep = str(self._sweep)
            # the constant sits on the metric, not on the front; the slack is what budgets grant to rounding
            room = limit - self._tables.constant.get(sweep, 0.0)
            position = self._front.best_within(room + 1e-10 * max(1.0, abs(limit)))
            if position is None:
                self._note(limits, MilpSolution(None, np.nan, np.inf, "infeasible"), "frontier")
                return None
            code: NDArray[np.int64] = self._front.codes(np.array([position]))[0]
            if not self._front.exact:
                return self._polished(code, limits)
            value = float(self._front.values[position]) + self._tables.constant.get(self._minimize, 0.0)
            self._note(limits, MilpSolution(code, value, 0.0, "optimal"), "frontier")
            return code
        return self._solve({self._minimize: 1.0}, limits, 0.0).code

    def _polished(self, code: NDArray[np.int64], limits: Mapping[str, float]) -> NDArray[np.int64]:
        """Return the better of a binned front's ``code`` and what the integer program finds in its time."""
        solution = self._solve({self._minimize: 1.0}, limits, self._settings.sweep_gap)
        value = float(self._tables.predict(self._minimize, code[None])[0])
        if solution.code is not None and solution.value < value:
            return solution.code
        return code

    def _at_budget(self) -> NDArray[np.int64]:
        codes = [self._best_within(self._limits)]
        if self._hard != self._limits:
            codes.append(self._best_within(self._hard))
        found = [code for code in codes if code is not None]
        if not found:
            found = self._cheapest()
        if found:
            self._optimum = found[0].tolist()
        return _stack(found, len(self._space))

    def _cheapest(self) -> list[NDArray[np.int64]]:
        """Return codes for budgets that nothing meets: least sum of cost / limit, then each cost alone."""
        weights = {m: 1.0 / (abs(limit) or 1.0) for m, limit in self._hard.items()}
        rows = [weights] if len(weights) == 1 else [weights, *({m: w} for m, w in weights.items())]
        solutions = [self._solve(row, {}, 0.0).code for row in rows if row]
        return [code for code in solutions if code is not None]

    def _around_budget(self) -> NDArray[np.int64]:
        if self._sweep is None:
            return _stack([], len(self._space))
        if self._separable and set(self._limits) <= {self._sweep}:
            return self._front_points()
        return self._swept_points()

    def _front_points(self) -> NDArray[np.int64]:
        """Return points of the additive front: half of them nearest to the budget, half spread over it."""
        costs, wanted = self._front.costs, self._settings.front_points
        spread = np.unique(np.linspace(0, len(costs) - 1, min(wanted, len(costs))).round().astype(np.int64))
        if self._sweep not in self._limits:
            return self._front.codes(spread)
        limit = self._limits[self._sweep] - self._tables.constant.get(self._sweep, 0.0)
        near = np.argsort(np.abs(costs - limit), kind="stable")[: wanted // 2 + 1]
        rest = spread[:: max(1, -(-len(spread) // max(1, wanted - len(near))))]
        rest = rest[np.argsort(np.abs(costs[rest] - limit), kind="stable")]
        order = list(dict.fromkeys([*near.tolist(), *rest.tolist()]))
        return self._front.codes(np.array(order, dtype=np.int64))

    def _swept_points(self) -> NDArray[np.int64]:
        """Return optima at other limits of the swept metric, the other limits held."""
        sweep = str(self._sweep)
        held = {m: limit for m, limit in self._limits.items() if m != sweep}
        if sweep in self._limits:
            at = [self._limits[sweep] * f for f in _AROUND[: self._settings.front_points]]
        else:
            ends = [self._solve({m: 1.0}, held, 0.0) for m in (sweep, self._minimize)]
            costs = [self._tables.predict(sweep, e.code[None])[0] for e in ends if e.code is not None]
            count = min(self._settings.front_points, len(_AROUND))
            at = list(np.linspace(min(costs), max(costs), count)) if costs else []
        gap = self._settings.sweep_gap
        found = [self._solve({self._minimize: 1.0}, {**held, sweep: float(limit)}, gap).code for limit in at]
        return _stack([code for code in found if code is not None], len(self._space))

    def _near_optimum(self) -> NDArray[np.int64]:
        if self._optimum is None:
            return _stack([], len(self._space))
        return near_optimal_codes(
            self._tables,
            np.array(self._optimum, dtype=np.int64),
            self._minimize,
            self._limits,
            count=self._settings.neighbours,
        )


def _stack(codes: Sequence[NDArray[np.int64]], width: int) -> NDArray[np.int64]:
    return np.array([code.tolist() for code in codes], dtype=np.int64).reshape(len(codes), width)


def _checked_tables(problem: Problem) -> AdditiveTables:
    tables = problem.tables
    if tables is None:
        raise StrategyError("strategy 'exact' needs additive prices; price the options first")
    metric = problem.objectives[0].metric
    if metric not in tables.unary:
        raise StrategyError(
            f"strategy 'exact' needs a price table for the objective '{metric}'; "
            f"priced are: {', '.join(sorted(tables.unary))}"
        )
    sizes = problem.space.cardinalities.tolist()
    for name, values in tables.unary.items():
        if [len(v) for v in values] != sizes:
            raise StrategyError(
                f"the price table of '{name}' does not list the options of this search space; price it again"
            )
    return tables


def _limits(problem: Problem, *, hard_only: bool) -> dict[str, float]:
    """Return metric -> upper limit of the minimized prediction, the tightest of several."""
    tables, limits = problem.tables, dict[str, float]()
    for budget in problem.budgets:
        if tables is None or budget.metric not in tables.unary or (hard_only and not budget.hard):
            continue
        if budget.relative:
            raise StrategyError(
                f"budget {budget.text} is relative; resolve it against the untouched model first"
            )
        limit = -budget.limit if budget.at_least else budget.limit
        limits[budget.metric] = min(limit, limits.get(budget.metric, limit))
    return limits


def _implications(space: SearchSpace) -> list[Implication]:
    position = {d.name: i for i, d in enumerate(space.dimensions)}
    rules = []
    for condition in space.conditions:
        child, parent = position[condition.dimension], position[condition.parent]
        values = tuple(space.dimensions[parent].index(v) for v in condition.values)
        rules.append(Implication(child, int(space.default_code[child]), parent, values))
    return rules
