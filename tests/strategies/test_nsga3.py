from __future__ import annotations

import numpy as np
import pytest

from automl.core.dominance import nondominated_mask
from automl.core.errors import StrategyError
from automl.strategies.evolutionary import Evolutionary
from automl.strategies.evolutionary import EvolutionSettings
from automl.strategies.nsga3 import Nsga3
from automl.strategies.operators.niche_math import associate
from automl.strategies.operators.reference_directions import das_dennis
from automl.strategies.random_search import RandomSearch
from automl.testing.problems import additive_problem
from automl.testing.problems import dtlz2_problem
from automl.testing.problems import single_objective_problem
from automl.testing.strategy_suite import StrategySuite
from automl.testing.strategy_suite import run_strategy


class TestNsga3(StrategySuite):
    def make(self, problem):
        directions = das_dennis(len(problem.objectives), 15)
        return Nsga3(problem, settings=EvolutionSettings(population=16), directions=directions)


class TestNsga3OfItsOwnSize(StrategySuite):
    evaluations = 200

    def make(self, problem):
        return Nsga3(problem)


def niches_of(points):
    """Return the niches of 91 directions that non-dominated points within 2 % of the sphere occupy."""
    front = points[nondominated_mask(points)]
    front = front[np.linalg.norm(front, axis=1) < 1.02]
    return set(associate(front, das_dennis(3, 12))[0].tolist())


def test_the_living_fill_four_fifths_of_the_niches_on_dtlz2_where_crowding_does_not():
    synthetic = dtlz2_problem()
    filled = {}
    for cls in (Nsga3, Evolutionary):
        strategy = cls(synthetic.problem)
        run_strategy(strategy, synthetic, 3000)
        filled[cls] = len(niches_of(np.array(strategy.state_dict()["points"])))
    assert filled[Nsga3] >= 0.8 * 91
    assert filled[Evolutionary] < 0.6 * 91


def test_four_objectives_are_served():
    synthetic = dtlz2_problem(6, 9, n_objectives=4)
    strategy = Nsga3(synthetic.problem)
    run_strategy(strategy, synthetic, 1500)
    points = np.array(strategy.state_dict()["points"])
    assert points.shape == (84, 4)
    assert np.median(np.linalg.norm(points, axis=1)) < 1.05


def test_one_objective_is_minimized_within_the_budget():
    synthetic = single_objective_problem(additive_problem(20, 3, seed=4))
    limit = synthetic.problem.budgets[0].limit

    def best(cls):
        measured = synthetic.measure(run_strategy(cls(synthetic.problem), synthetic, 1000))
        return min(m["kl"].value for m in measured if m["size_bytes"].value <= limit)

    assert best(Nsga3) < 0.75 * best(RandomSearch)


def test_two_objectives_at_a_budget_come_as_near_as_the_crowded_survival():
    synthetic = additive_problem(20, 3, seed=4)
    limit = synthetic.problem.budgets[0].limit
    found = {}
    for cls in (Nsga3, Evolutionary):
        measured = synthetic.measure(run_strategy(cls(synthetic.problem), synthetic, 2000))
        found[cls] = min(m["kl"].value for m in measured if m["size_bytes"].value <= limit)
    assert found[Nsga3] < 1.1 * found[Evolutionary]


def test_directions_that_do_not_fit_are_refused():
    problem = additive_problem(4).problem
    with pytest.raises(StrategyError, match="do not serve"):
        Nsga3(problem, directions=das_dennis(3, 4))
    with pytest.raises(StrategyError, match="do not serve"):
        Nsga3(problem, settings=EvolutionSettings(population=8), directions=das_dennis(2, 12))
