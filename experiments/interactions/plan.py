"""Which candidates are measured: random ones, mutations of uniform ones, near the additive front, evolved."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from recorded_table import digits

from automl.core.rng import child_rng
from automl.core.trial import Trial
from automl.core.trial import TrialState
from automl.strategies.table import make_strategy

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from recorded_table import Row

    from automl.strategies.base import Problem

#: Kinds in turn, eight candidates each; a run of a strategy takes two turns of five.
TURNS = ("random", "mutated", "front", "evolved", "evolved")
TURN = 8
#: Evaluations of each run that contributes evolved candidates.
RUN = 200
#: (strategy, whether it sees prices and seeds), one run each, and again with another seed.
RUNS = (("evolutionary", True), ("surrogate", True), ("evolutionary", False), ("local", True))


class Plan:
    """Proposes what to measure next; asked again with the rows so far it goes on as if never stopped.

    Args:
        problem: of the model, with prices and seeds.
        uniform: codes of the uniform candidates, (n, n_dimensions).
        rows: measured so far.
    """

    def __init__(self, problem: Problem, uniform: np.ndarray, rows: list[Row]) -> None:
        self._problem = problem
        self._uniform = uniform
        self._seeds = problem.space.encode(problem.seeds)
        self.known: dict[str, Row] = {}
        self._evolved: list[Row] = []
        self._count = 0
        self._run = -1
        for row in rows:
            self.note(row)

    def note(self, row: Row) -> None:
        """Take a measured row."""
        self.known[row.code] = row
        self._count += 1
        if row.kind.startswith("evolved"):
            self._evolved.append(row)

    def batch(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield (kind, code) of the next turn; nothing in it was measured before."""
        turn = self._count // TURN
        kind = TURNS[turn % len(TURNS)]
        if kind == "evolved":
            yield from self._evolve()
            return
        rng = child_rng(0, "plan", turn)
        found: set[str] = set()
        while len(found) < TURN - self._count % TURN:
            code = self._draw(kind, rng)
            text = digits(code)
            if text not in self.known and text not in found:
                found.add(text)
                yield kind, code

    def _draw(self, kind: str, rng: np.random.Generator) -> np.ndarray:
        space = self._problem.space
        if kind == "random":
            return space.sample(rng, 1)[0]
        near = self._uniform if kind == "mutated" else self._seeds
        code = near[rng.integers(len(near))].copy()
        other = space.sample(rng, 1)[0]
        if kind == "mutated" and rng.random() < 0.5:
            start, length = rng.integers(len(code)), 1 + rng.geometric(0.1)
            code[start : start + length] = other[start : start + length]
        else:
            rate = rng.choice([0.03, 0.1, 0.3]) if kind == "mutated" else rng.choice([0.02, 0.06, 0.15])
            moved = rng.random(len(code)) < rate
            code[moved] = other[moved]
        return code

    def _evolve(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield what the strategy of the current run asks for; measured candidates are told at once."""
        run = len(self._evolved) // RUN
        if run != self._run:
            name, priced = RUNS[run % len(RUNS)]
            problem = replace(self._problem, seed=1000 + run)
            if not priced:
                problem = replace(problem, tables=None, predict=None, seeds=(), relaxed=None)
            self._run, self._strategy = run, make_strategy(name, problem)
            self._told = 0
        name, priced = RUNS[run % len(RUNS)]
        space = self._problem.space
        while True:
            asked = self._strategy.ask(TURN)
            if not asked:
                self._run = -1
                rng = child_rng(0, "exhausted", self._count)
                yield f"evolved-{run}-{name}", space.sample(rng, 1)[0]
                return
            new = [c for c in space.encode(asked) if digits(c) not in self.known]
            for code in new:
                yield f"evolved-{run}-{name}{'' if priced else '-blind'}", code
            rows = [self.known.get(digits(c)) for c in space.encode(asked)]
            trials = [
                Trial(self._told + i, c, TrialState.COMPLETE, measurement=r.measurement)
                if r is not None
                else Trial(self._told + i, c, TrialState.FAILED, failure="not measured")
                for i, (c, r) in enumerate(zip(asked, rows, strict=True))
            ]
            self._told += len(trials)
            self._strategy.tell(trials)
            if new:
                return
