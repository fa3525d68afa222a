"""What a strategy promises: ask for candidates, be told trials; the engine owns the loop."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING
from typing import Any
from typing import ClassVar
from typing import Protocol
from typing import runtime_checkable

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.core.budget import Budget
    from automl.core.candidate import Candidate
    from automl.core.curve import LearningCurve
    from automl.core.objective import Objective
    from automl.core.trial import Fidelity
    from automl.core.trial import Trial
    from automl.searchspaces.space import SearchSpace

    #: Shares (n_dimensions, largest number of options), step -> the loss, its derivative by the shares.
    RelaxedLoss = Callable[[NDArray[np.float64], int], tuple[float, NDArray[np.float64]]]

__all__ = ["AdditiveTables", "Learning", "MultiFidelity", "Problem", "Remarking", "Strategy", "StrategyInfo"]


@dataclass(frozen=True, eq=False)
class AdditiveTables:
    """Additive predictions per option, with pair terms: the prices a searcher may use without evaluating.

    For metric m the prediction of code x is
    ``constant[m] + sum_i unary[m][i][x_i] + sum_(i,j) pairwise[m][(i, j)][x_i, x_j]``, minimized.

    Args:
        unary: metric -> one array per dimension, (n_options,).
        pairwise: metric -> {(i, j): (n_options_i, n_options_j)} for i < j; may lack metrics.
        constant: metric -> value of the additive constant; 0 when absent.
    """

    unary: Mapping[str, tuple[NDArray[np.float64], ...]]
    pairwise: Mapping[str, Mapping[tuple[int, int], NDArray[np.float64]]] = field(default_factory=dict)
    constant: Mapping[str, float] = field(default_factory=dict)

    def predict(self, metric: str, codes: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the minimized prediction of ``metric`` for codes (n, n_dimensions); shape (n,)."""
        total = np.full(len(codes), self.constant.get(metric, 0.0))
        for column, values in enumerate(self.unary[metric]):
            total = total + values[codes[:, column]]
        for (i, j), values in self.pairwise.get(metric, {}).items():
            total = total + values[codes[:, i], codes[:, j]]
        return total


@dataclass(frozen=True, eq=False)
class Problem:
    """What a strategy is given.

    Args:
        space: the search space.
        objectives: axes of the front, at least one.
        budgets: resolved budgets (absolute limits), possibly none.
        seed: the strategy's own child seed; all its randomness comes from it.
        tables: additive prices when they were measured, else None.
        predict: codes (n, n_dimensions) -> minimized predicted objectives (n, n_objectives) by the best model
            there is (latency model included), or None. The column of an objective that nothing predicts is
            NaN. Pure and cheap; never a trial.
        seeds: candidates to start from (for example the exact front), best first.
        relaxed: the first objective, minimized, of a mixture: every dimension takes its options in shares,
            shape (n_dimensions, largest number of options). Returns the loss and its derivative by the
            shares; the step says which batch of data it is estimated on, so the same call gives the same
            numbers. None where there is no such loss. Never a trial.
    """

    space: SearchSpace
    objectives: tuple[Objective, ...]
    budgets: tuple[Budget, ...] = ()
    seed: int = 0
    tables: AdditiveTables | None = None
    predict: Callable[[NDArray[np.int64]], NDArray[np.float64]] | None = None
    seeds: tuple[Candidate, ...] = ()
    relaxed: RelaxedLoss | None = None


@dataclass(frozen=True)
class StrategyInfo:
    """What a strategy is, for listings and checks.

    Args:
        name: the name ``--strategy`` takes.
        summary: one line.
        paper: title and arXiv id or venue; empty when it has none.
        needs_tables: cannot start without ``Problem.tables``.
        finite: ``ask`` may return nothing although budget is left, because everything was proposed.
        multi_objective: aims at the whole front where no hard budget names one end of it.
        uses_tables: looks at ``Problem.tables`` when they are there.
        uses_predictions: looks at ``Problem.predict`` when it is there.
    """

    name: str
    summary: str
    paper: str = ""
    needs_tables: bool = False
    finite: bool = False
    multi_objective: bool = True
    uses_tables: bool = False
    uses_predictions: bool = False


@runtime_checkable
class Strategy(Protocol):
    """A searcher.

    ``ask`` does not learn; ``tell`` is the only place where knowledge changes (``ask`` may advance the
    generator and the list of what was proposed). ``load_state_dict(state_dict())`` on a strategy built from
    the same problem continues exactly as if it had never stopped.
    """

    info: ClassVar[StrategyInfo]

    def __init__(self, problem: Problem) -> None: ...

    def ask(self, count: int) -> list[Candidate]:
        """Return at most ``count`` members of the space; an empty list when it has no more to propose."""

    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn from finished trials, failed ones and ones it did not propose included."""

    def state_dict(self) -> dict[str, Any]:
        """Return plain JSON."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore :meth:`state_dict`."""


@runtime_checkable
class MultiFidelity(Protocol):
    """A strategy that says how much is to be spent on each of its proposals.

    It may propose a candidate again at a higher fidelity. Strategies without this method are measured at the
    run's own fidelity throughout.
    """

    def fidelity(self, candidate: Candidate) -> Fidelity:
        """Return the fidelity of a candidate that was asked for and not told yet."""


@runtime_checkable
class Remarking(Protocol):
    """A strategy that has something to say about how its search went."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences for the report, for example what was switched off and why."""


@runtime_checkable
class Learning(Protocol):
    """A strategy that can show how what it learns moved.

    The curves belong to what ``state_dict`` saves: after an interruption they are the whole ones.
    """

    @property
    def curves(self) -> tuple[LearningCurve, ...]:
        """What the report draws; empty while nothing was learned."""
