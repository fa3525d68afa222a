from __future__ import annotations

import numpy as np
import pytest

from automl.core.errors import StrategyError
from automl.core.indicators import hypervolume
from automl.strategies.aging import Aging
from automl.strategies.aging import AgingSettings
from automl.strategies.random_search import RandomSearch
from automl.testing.problems import additive_problem
from automl.testing.problems import integer_space
from automl.testing.problems import single_objective_problem
from automl.testing.problems import zdt1_problem
from automl.testing.strategy_suite import StrategySuite
from automl.testing.strategy_suite import run_strategy


class TestAging(StrategySuite):
    def make(self, problem):
        return Aging(problem, settings=AgingSettings(population=16, sample=4, identity=0.2))


class TestAgingOfItsOwnSize(StrategySuite):
    def make(self, problem):
        return Aging(problem)


def best_feasible(synthetic, proposed):
    limit = synthetic.problem.budgets[0].limit
    measured = synthetic.measure(proposed)
    return min(m["kl"].value for m in measured if m["size_bytes"].value <= limit)


@pytest.mark.parametrize(
    ("cardinalities", "population", "sample"),
    [([3] * 4, 32, 8), ([3] * 15, 60, 15), ([3] * 500, 100, 25), ([1] * 500 + [2], 32, 8)],
)
def test_size_follows_the_dimensions_that_offer_a_choice(cardinalities, population, sample):
    settings = AgingSettings.for_space(integer_space(cardinalities))
    assert (settings.population, settings.sample) == (population, sample)


def test_the_oldest_dies_whatever_its_value():
    synthetic = additive_problem(9, fraction=None)
    strategy = Aging(synthetic.problem, settings=AgingSettings(population=8, sample=4, identity=0.0))
    proposed = run_strategy(strategy, synthetic, 50, batch=5)
    codes = synthetic.problem.space.encode(proposed)
    assert strategy.state_dict()["codes"] == codes[-8:].tolist()


def test_a_reborn_member_keeps_its_values_and_costs_no_evaluation():
    synthetic = additive_problem(9, fraction=None)
    strategy = Aging(synthetic.problem, settings=AgingSettings(population=30, sample=4, identity=0.5))
    run_strategy(strategy, synthetic, 20)
    state = strategy.state_dict()
    assert len(state["codes"]) > 20
    assert len({tuple(c) for c in state["codes"]}) <= 20
    assert np.allclose(synthetic.truth(np.array(state["codes"])), state["points"])


def test_children_differ_from_the_only_member_in_one_gene_while_such_are_left():
    synthetic = additive_problem(6, 3, fraction=None)
    space = synthetic.problem.space
    strategy = Aging(synthetic.problem, settings=AgingSettings(population=2, sample=2, identity=0.0))
    parents = strategy.ask(2)
    strategy.tell(synthetic.trials(parents[:1]))
    children = space.encode(strategy.ask(5))
    changed = (children != space.encode(parents[:1])).sum(axis=1)
    assert changed.tolist().count(1) >= 3
    assert (changed >= 1).all()


def test_beats_random_at_a_budget_on_one_objective_and_on_two():
    synthetic = additive_problem(20, 3, seed=4)
    for problem in (synthetic, single_objective_problem(synthetic)):
        bred = run_strategy(Aging(problem.problem), problem, 2000)
        drawn = run_strategy(RandomSearch(problem.problem), problem, 2000)
        assert best_feasible(problem, bred) < 0.75 * best_feasible(problem, drawn)


def test_front_is_better_than_random_on_zdt1():
    volumes = {}
    for cls in (Aging, RandomSearch):
        synthetic = zdt1_problem(seed=1)
        proposed = run_strategy(cls(synthetic.problem), synthetic, 2000, batch=20)
        points = synthetic.truth(synthetic.problem.space.encode(proposed))
        volumes[cls] = hypervolume(points, np.array([6.0, 1.1]))
    assert volumes[Aging] > 1.2 * volumes[RandomSearch]


@pytest.mark.parametrize("wrong", [{"population": 1}, {"sample": 0}, {"identity": 1.0}, {"identity": -0.1}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(StrategyError, match="population must be"):
        AgingSettings(**wrong)
