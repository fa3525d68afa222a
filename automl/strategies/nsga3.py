"""NSGA-III: the evolution of ``evolutionary`` with survivors spread along reference directions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from typing import Any
from typing import ClassVar

from automl.core.errors import StrategyError
from automl.core.rng import child_rng
from automl.strategies.base import StrategyInfo
from automl.strategies.evolutionary import Evolutionary
from automl.strategies.evolutionary import EvolutionSettings
from automl.strategies.evolutionary import Operators
from automl.strategies.operators.niching import NicheSurvival
from automl.strategies.operators.reference_directions import default_directions
from automl.strategies.operators.selection import FeasibleMating
from automl.strategies.operators.selection import FocusedSurvival

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from automl.strategies.base import Problem

__all__ = ["Nsga3"]

_POPULATION = 64


class Nsga3(Evolutionary):
    """Evolution whose survivors are spread along reference directions; meant for three and more objectives.

    Parents are drawn at random among feasible members, as the survival alone keeps the spread. Under a hard
    budget half of the survivors and the tournament serve the budget's end of the front, as in
    ``evolutionary``.

    Args:
        problem: objectives and hard budgets decide; ``predict`` screens children when present.
        settings: see :class:`EvolutionSettings`; a population of one member a direction, at least 64, when
            None.
        directions: (n_directions, n_objectives) on the unit simplex; when None the finest of at most 100.

    Raises:
        StrategyError: fewer members than directions, or directions for another number of objectives.

    Reference:
        Deb, Jain, "An evolutionary many-objective optimization algorithm using reference-point-based
        nondominated sorting approach, part I", 2014. Deviations: those of :class:`Evolutionary` and
        :class:`NicheSurvival`.
    """

    info: ClassVar[StrategyInfo] = StrategyInfo(
        name="nsga3",
        summary="NSGA-III: evolution with survivors spread along reference directions, for 3+ objectives",
        paper="An evolutionary many-objective optimization algorithm (NSGA-III), 10.1109/TEVC.2013.2281535",
        finite=True,
        uses_predictions=True,
    )

    def __init__(
        self,
        problem: Problem,
        *,
        settings: EvolutionSettings | None = None,
        directions: NDArray[np.float64] | None = None,
    ) -> None:
        width = len(problem.objectives)
        directions = default_directions(width) if directions is None else directions
        settings = settings or EvolutionSettings(population=max(_POPULATION, len(directions)))
        if directions.shape[1] != width or len(directions) > settings.population:
            raise StrategyError(
                f"{len(directions)} directions of {directions.shape[1]} objectives do not serve a population "
                f"of {settings.population} with {width} objectives; give one member a direction or more"
            )
        budgeted = any(b.hard for b in problem.budgets)
        self._niches = NicheSurvival(directions, child_rng(problem.seed, "nsga3"))
        operators = replace(
            Operators.standard(budgeted=budgeted),
            survival=FocusedSurvival(spread=self._niches) if budgeted else self._niches,
            mating=None if budgeted else FeasibleMating(),
        )
        super().__init__(problem, settings=settings, operators=operators)

    def state_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {**super().state_dict(), "niches": self._niches.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore :meth:`state_dict`.

        Raises:
            StrategyError: the state belongs to another strategy or space.
        """
        super().load_state_dict(state)
        self._niches.load_state_dict(state["niches"])
