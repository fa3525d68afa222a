from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from automl.core.errors import StrategyError
from automl.core.measurement import Measurement
from automl.core.measurement import Metric
from automl.core.trial import Trial
from automl.core.trial import TrialState
from automl.strategies.levelswap import LevelSwap
from automl.strategies.levelswap import LevelSwapSettings
from automl.strategies.random_search import RandomSearch
from automl.testing.problems import additive_problem
from automl.testing.problems import single_objective_problem
from automl.testing.strategy_suite import StrategySuite
from automl.testing.strategy_suite import run_strategy


class TestLevelSwap(StrategySuite):
    def make(self, problem):
        return LevelSwap(problem)


class TestLevelSwapWithoutPrices(StrategySuite):
    """The same contract with plain swaps."""

    def make(self, problem):
        return LevelSwap(replace(problem, tables=None))


class TestLevelSwapWithoutBudget(StrategySuite):
    """The same contract over a front of parents."""

    def make(self, problem):
        return LevelSwap(replace(problem, budgets=()))


def best_feasible(synthetic, proposed):
    limit = synthetic.problem.budgets[0].limit
    measured = synthetic.measure(proposed)
    return min(m["kl"].value for m in measured if m["size_bytes"].value <= limit)


def test_children_spend_nearly_the_whole_budget_and_never_more():
    synthetic = additive_problem(30, 4, seed=3, pairs=True)
    limit = synthetic.problem.budgets[0].limit
    strategy = LevelSwap(synthetic.problem)
    run_strategy(strategy, synthetic, 80)
    children = synthetic.problem.space.encode(strategy.ask(100))
    spent = synthetic.truth(children)[:, 1]
    assert spent.max() <= limit * (1 + 1e-6)
    assert np.median(spent) > 0.97 * limit


def test_without_prices_children_stay_near_the_level_of_the_parent_alone():
    synthetic = additive_problem(30, 4, seed=3, give_tables=False)
    strategy = LevelSwap(synthetic.problem)
    run_strategy(strategy, synthetic, 80)
    (parent,) = strategy.state_dict()["codes"]
    children = synthetic.problem.space.encode(strategy.ask(100))
    assert (np.abs(children - parent).max(axis=1) == 1).all()
    assert abs(np.mean(children.sum(axis=1) - sum(parent))) < 1.0


def test_prices_bring_it_nearer_to_the_optimum():
    gaps = {}
    for seed in range(3):
        for given in (True, False):
            synthetic = additive_problem(30, 4, seed=seed, give_tables=given)
            found = best_feasible(synthetic, run_strategy(LevelSwap(synthetic.problem), synthetic, 600))
            gaps.setdefault(given, []).append(found)
    assert all(a < b for a, b in zip(gaps[True], gaps[False], strict=True))


@pytest.mark.parametrize("give_tables", [True, False])
def test_beats_random_at_a_budget_on_one_objective_and_on_two(give_tables):
    synthetic = additive_problem(20, 3, seed=4, give_tables=give_tables)
    for problem in (synthetic, single_objective_problem(synthetic)):
        swapped = run_strategy(LevelSwap(problem.problem), problem, 2000)
        drawn = run_strategy(RandomSearch(problem.problem), problem, 2000)
        assert best_feasible(problem, swapped) < 0.75 * best_feasible(problem, drawn)


def test_what_is_measured_beyond_the_prices_is_taken_off_the_room():
    synthetic = additive_problem(30, 4, seed=3)
    problem, limit = synthetic.problem, synthetic.problem.budgets[0].limit
    strategy = LevelSwap(problem, settings=LevelSwapSettings(starts=1))
    (parent,) = strategy.ask(1)
    priced = synthetic.truth(problem.space.encode([parent]))[0, 1]
    # the true size is 200 B more than the tables say
    measured = Measurement({"kl": Metric(1.0), "size_bytes": Metric(priced + 200.0)})
    strategy.tell([Trial(1, parent, TrialState.COMPLETE, measurement=measured)])
    children = problem.space.encode(strategy.ask(60))
    spent = synthetic.truth(children)[:, 1]
    fits = spent <= limit - 200.0 + 1e-6 * limit
    # a parent far beyond the limit may need more than one generation
    assert fits.all() or (spent < priced).all()


def test_a_worse_child_does_not_replace_the_parent_and_a_better_one_does():
    synthetic = additive_problem(9)
    strategy = LevelSwap(synthetic.problem)
    proposed = run_strategy(strategy, synthetic, 200)
    (point,) = strategy.state_dict()["points"]
    assert point[0] == pytest.approx(best_feasible(synthetic, proposed))


def test_without_a_budget_the_parents_are_a_front():
    synthetic = additive_problem(9, fraction=None)
    strategy = LevelSwap(synthetic.problem, settings=LevelSwapSettings(front=10))
    run_strategy(strategy, synthetic, 300)
    points = np.array(strategy.state_dict()["points"])
    assert len(points) == 10
    order = points[points[:, 0].argsort()]
    assert (np.diff(order[:, 1]) < 0).all()


@pytest.mark.parametrize("wrong", [{"starts": 0}, {"most": 0}, {"front": 0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(StrategyError, match="at least 1"):
        LevelSwapSettings(**wrong)
