"""Local search: steepest descent on true evaluations, wider where it is stuck, restarted from the front."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any
from typing import ClassVar

import numpy as np

from automl.core.dominance import constrained_sort
from automl.core.errors import StrategyError
from automl.core.rng import child_rng
from automl.strategies.base import StrategyInfo
from automl.strategies.operators.acceptance import acceptance_order
from automl.strategies.operators.acceptance import improving
from automl.strategies.operators.dedup import SeenCodes
from automl.strategies.operators.mutation import Genes
from automl.strategies.operators.mutation import gene_mutation
from automl.strategies.operators.mutation import swap_mutation
from automl.strategies.operators.selection import crowding_survival
from automl.strategies.operators.swap_neighbours import swap_neighbours
from automl.strategies.proposals import Proposals
from automl.strategies.rated import Rated
from automl.strategies.saved_state import check_state
from automl.strategies.saved_state import restore_rng
from automl.strategies.saved_state import rng_state
from automl.strategies.screening import predicted_ratings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.core.candidate import Candidate
    from automl.core.trial import Trial
    from automl.strategies.base import Problem

__all__ = ["LocalSearch", "LocalSettings"]

_ROUNDS = 4


@dataclass(frozen=True)
class LocalSettings:
    """How far a descent looks.

    Args:
        breadth: with predictions, how many neighbours, the best predicted first, are measured before a move;
            without, all of them are.
        swaps: trades tried around a candidate that no single change improves.
        kick: share of the decisions that a restart changes at most in the best known candidate; at least 2.
        front: members of the front that are remembered as places to start from.

    Raises:
        StrategyError: a number is out of range.
    """

    breadth: int = 16
    swaps: int = 512
    kick: float = 0.1
    front: int = 64

    def __post_init__(self) -> None:
        if min(self.breadth, self.front) < 1 or self.swaps < 0 or not 0 < self.kick <= 1:
            raise StrategyError(
                "breadth and front must be at least 1, swaps at least 0 and kick in (0, 1]; got "
                f"{self.breadth}, {self.front}, {self.swaps}, {self.kick}"
            )


class LocalSearch:
    """Steepest descent over the space's neighbours.

    Every neighbour of the center is measured, and the best one that improves becomes the next center. Where
    none does, the neighbours of other members of the front follow if a front is the aim, then trades of two
    decisions around the center; the first batch that improves moves on. Where that is used up the descent
    starts again from changed copies of the best. With a hard budget or one objective less violation is
    better, then a smaller first objective, then the others in turn; otherwise the front is the aim and what
    dominates under the constraints is better.

    Args:
        problem: ``predict`` orders the neighbours when present.
        settings: see :class:`LocalSettings`; its defaults when None.

    Reference:
        Paquete, Chiarandini, Stützle, "Pareto local optimum sets in the biobjective traveling salesman
        problem", 2004, where no budget names one end of the front; Lourenço, Martin, Stützle, "Iterated local
        search", 2003, for the restarts.
    """

    info: ClassVar[StrategyInfo] = StrategyInfo(
        name="local",
        summary="steepest descent over neighbours, then trades of two decisions, restarted from the front",
        paper="Pareto local optimum sets in the biobjective traveling salesman problem, 2004",
        finite=True,
        uses_predictions=True,
    )

    def __init__(self, problem: Problem, *, settings: LocalSettings | None = None) -> None:
        self._problem = problem
        self._settings = settings or LocalSettings()
        self._budgeted = any(b.hard for b in problem.budgets)
        self._focused = self._budgeted or len(problem.objectives) == 1
        self._genes = Genes.of(problem.space)
        self._rng = child_rng(problem.seed, "local")
        self._proposals = Proposals(problem)
        self._known = Rated.empty(problem)
        self._opened = SeenCodes()
        self._center = Rated.empty(problem)
        self._better = Rated.empty(problem)
        self._queue = np.empty((0, len(problem.space)), dtype=np.int64)
        self._due = 0
        self._widened = False
        # digest of what is under way -> whether a move waits for it
        self._waiting: dict[str, bool] = {}
        self._begun = False

    def ask(self, count: int) -> list[Candidate]:
        """Return up to ``count`` new candidates: seeds, neighbours, trades, then places to start from."""
        self._begun = self._begun or count > 0
        seeds = self._proposals.seeds(count)
        due, beyond = self._neighbours(count - len(seeds))
        starts = self._starts(count - len(seeds) - len(due) - len(beyond))
        candidates = self._proposals.candidates(np.concatenate([due, seeds, beyond, starts]))
        self._waiting.update({c.digest: i < len(due) for i, c in enumerate(candidates)})
        return candidates

    def tell(self, trials: Sequence[Trial]) -> None:
        """Take the trials in, then move, start again, or wait for the rest of the neighbourhood."""
        told = self._proposals.read(trials)
        for trial in trials:
            self._waiting.pop(trial.candidate.digest, None)
        self._known = self._best_known(self._known.joined(told).latest())
        self._better = self._best_improving(self._better.joined(told))
        if not self._begun:
            # the untouched model is told first, and a descent from there would be a long one
            return
        if len(self._better) and not self._due and not any(self._waiting.values()):
            self._open(self._better)
        elif not len(self._queue) and self._widened and not self._waiting:
            self._center, self._better = Rated.empty(self._problem), Rated.empty(self._problem)
            self._widened = False

    def state_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "strategy": self.info.name,
            "space": self._problem.space.fingerprint,
            "rng": rng_state(self._rng),
            "seen": self._proposals.keys,
            "opened": self._opened.keys,
            "known": self._known.state,
            "center": self._center.state,
            "better": self._better.state,
            "queue": self._queue.tolist(),
            "due": self._due,
            "widened": self._widened,
            "waiting": dict(self._waiting),
            "begun": self._begun,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore :meth:`state_dict`.

        Raises:
            StrategyError: the state belongs to another strategy or space.
        """
        check_state(state, self.info.name, self._problem.space.fingerprint)
        restore_rng(self._rng, state["rng"])
        self._proposals.restore(state["seen"])
        self._opened = SeenCodes(state["opened"])
        self._known, self._center, self._better = (
            Rated.from_state(self._problem, state[name]) for name in ("known", "center", "better")
        )
        self._queue = np.array(state["queue"], dtype=np.int64).reshape(-1, len(self._problem.space))
        self._due, self._widened = int(state["due"]), bool(state["widened"])
        self._waiting, self._begun = dict(state["waiting"]), bool(state["begun"])

    def _neighbours(self, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return new codes around the center, together up to ``count``: due ones, then those beyond."""
        due, beyond = self._none, self._none
        while len(due) + len(beyond) < count:
            if not len(self._queue):
                if self._widened or not len(self._center):
                    break
                self._widen()
                continue
            wanted = count - len(due) - len(beyond)
            head, self._queue = self._queue[:wanted], self._queue[wanted:]
            split = min(self._due, len(head))
            self._due -= split
            due = np.concatenate([due, self._proposals.fresh(head[:split], wanted)])
            beyond = np.concatenate([beyond, self._proposals.fresh(head[split:], wanted)])
        return due, beyond

    def _starts(self, count: int) -> NDArray[np.int64]:
        """Return up to ``count`` new places to start from: most near the best known, the rest random."""
        codes, free = self._none, int((self._genes.cardinalities > 1).sum())
        changes = max(2, round(self._settings.kick * free))
        kicked = count - count // 4 if len(self._opened) and len(self._known) else 0
        for _ in range(_ROUNDS):
            if len(codes) >= kicked:
                break
            rows = self._rng.integers(0, len(self._known), size=kicked - len(codes))
            base = self._known.codes[rows]
            if self._budgeted:
                moved = swap_mutation(base, self._genes, self._rng, most=changes)
            else:
                moved = gene_mutation(base, self._genes, self._rng, expected=changes)
            moved = self._problem.space.repair(moved)
            codes = np.concatenate([codes, self._proposals.fresh(moved, kicked - len(codes))])
        if len(codes) < count:
            codes = np.concatenate([codes, self._proposals.random(self._rng, count - len(codes))])
        return codes

    def _open(self, center: Rated) -> None:
        """Make ``center`` the center and its new neighbours due."""
        self._opened.add(center.codes)
        self._center, self._better = center, Rated.empty(self._problem)
        self._queue = self._sorted(self._problem.space.neighbours(center.codes[0]))
        predicted = self._problem.predict is not None
        self._due = min(self._settings.breadth, len(self._queue)) if predicted else len(self._queue)
        self._widened = False
        self._waiting = dict.fromkeys(self._waiting, False)

    def _widen(self) -> None:
        """Queue what is not due: neighbours of another member of the front, or trades around the center."""
        unopened = self._opened.fresh(self._known.codes) if not self._focused else self._none
        if len(unopened):
            code = unopened[self._rng.integers(0, len(unopened))]
            self._opened.add(code[None])
            self._queue = self._sorted(self._problem.space.neighbours(code))
            return
        code = self._center.codes[0]
        trades = swap_neighbours(code, self._genes, self._rng, most=self._settings.swaps)
        self._queue = self._sorted(self._problem.space.repair(trades))
        self._widened = True

    def _sorted(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the new ones among ``codes``, the best predicted first, or in random order."""
        codes = self._proposals.seen.fresh(codes)
        ratings = predicted_ratings(self._problem, codes) if len(codes) else None
        if ratings is None:
            return self._rng.permutation(codes)
        return codes[acceptance_order(*ratings, focused=self._focused)]

    def _best_improving(self, rows: Rated) -> Rated:
        """Return the best of ``rows`` if it improves on the center; any is better than no center."""
        if len(self._center):
            point, violation = self._center.points[0], float(self._center.violations[0])
            mask = improving(rows.points, rows.violations, point, violation, focused=self._focused)
            rows = rows.take(np.flatnonzero(mask))
        return rows.take(acceptance_order(rows.points, rows.violations, focused=self._focused)[:1])

    def _best_known(self, rows: Rated) -> Rated:
        """Return what restarts begin from: the best of ``rows``, or the spread front of them."""
        if self._focused:
            return rows.take(acceptance_order(rows.points, rows.violations, focused=True)[:1])
        front = rows.take(np.flatnonzero(constrained_sort(rows.points, rows.violations) == 0))
        return front.take(crowding_survival(front.points, front.violations, self._settings.front))

    @property
    def _none(self) -> NDArray[np.int64]:
        return np.empty((0, len(self._problem.space)), dtype=np.int64)
