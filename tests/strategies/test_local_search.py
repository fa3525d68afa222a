from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from automl.core.errors import StrategyError
from automl.core.indicators import hypervolume
from automl.strategies.local_search import LocalSearch
from automl.strategies.local_search import LocalSettings
from automl.strategies.random_search import RandomSearch
from automl.testing.problems import additive_problem
from automl.testing.problems import single_objective_problem
from automl.testing.problems import zdt1_problem
from automl.testing.strategy_suite import StrategySuite
from automl.testing.strategy_suite import run_strategy


def predicted(problem):
    tables = problem.tables

    def predict(codes):
        return np.stack([tables.predict(o.metric, codes) for o in problem.objectives], axis=1)

    return replace(problem, predict=predict)


class TestLocalSearch(StrategySuite):
    evaluations = 240

    def make(self, problem):
        return LocalSearch(problem, settings=LocalSettings(swaps=20))


class TestPredictedLocalSearch(StrategySuite):
    """The same contract with a prediction that orders the neighbours."""

    def make(self, problem):
        return LocalSearch(predicted(problem))


def best_feasible(synthetic, proposed):
    limit = synthetic.problem.budgets[0].limit
    measured = synthetic.measure(proposed)
    return min(m["kl"].value for m in measured if m["size_bytes"].value <= limit)


def started(synthetic, code, **settings):
    """Return a strategy whose center is ``code``, and that code."""
    start = synthetic.problem.space.decode(np.array(code))
    strategy = LocalSearch(replace(synthetic.problem, seeds=(start,)), settings=LocalSettings(**settings))
    assert strategy.ask(1) == [start]
    strategy.tell(synthetic.trials([start]))
    return strategy, np.array(code)


def test_the_whole_neighbourhood_is_measured_and_the_best_of_it_is_next():
    synthetic = single_objective_problem(additive_problem(8, 3, fraction=None, seed=3))
    strategy, code = started(synthetic, [2] * 8)
    space = synthetic.problem.space
    first = strategy.ask(5)
    strategy.tell(synthetic.trials(first))
    second = strategy.ask(3)
    strategy.tell(synthetic.trials(second))
    around = space.encode(first + second)
    assert np.array_equal(np.unique(around, axis=0), space.neighbours(code))
    best = around[synthetic.truth(around)[:, 0].argmin()]
    after = space.encode(strategy.ask(8))
    assert {tuple(c) for c in after.tolist()} <= {tuple(c) for c in space.neighbours(best).tolist()}


def test_a_move_waits_for_late_neighbours():
    synthetic = single_objective_problem(additive_problem(8, 3, fraction=None, seed=3))
    strategy, code = started(synthetic, [2] * 8)
    around = strategy.ask(8)
    strategy.tell(synthetic.trials(around[1:]))
    assert strategy.state_dict()["center"]["codes"] == [code.tolist()]
    strategy.tell(synthetic.failed(around[:1]))
    assert strategy.state_dict()["center"]["codes"] != [code.tolist()]


def test_descends_to_the_optimum_of_an_additive_objective():
    synthetic = single_objective_problem(additive_problem(10, 4, fraction=None, seed=1))
    strategy, _ = started(synthetic, [3] * 10)
    proposed = run_strategy(strategy, synthetic, 400)
    # the untouched model is the optimum and is never proposed; the next best is one step from it
    least = min(m["kl"].value for m in synthetic.measure(proposed))
    space = synthetic.problem.space
    assert least == pytest.approx(synthetic.truth(space.neighbours(space.default_code))[:, 0].min())


def test_predicted_neighbours_come_best_first_and_a_move_waits_for_the_breadth_alone():
    synthetic = single_objective_problem(additive_problem(30, 3, fraction=None, seed=3))
    synthetic = replace(synthetic, problem=predicted(synthetic.problem))
    strategy, code = started(synthetic, [1] * 30, breadth=4)
    space = synthetic.problem.space
    first = strategy.ask(4)
    values = synthetic.truth(space.encode(first))[:, 0]
    everything = np.sort(synthetic.truth(space.neighbours(code))[:, 0])
    assert np.allclose(values, everything[:4])
    strategy.tell(synthetic.trials(first))
    assert strategy.state_dict()["center"]["codes"] == [space.encode(first)[0].tolist()]


def test_trades_are_tried_where_no_single_change_improves():
    synthetic = additive_problem(12, 2, seed=5)
    limit = synthetic.problem.budgets[0].limit
    strategy = LocalSearch(synthetic.problem)
    proposed = run_strategy(strategy, synthetic, 600)
    codes = np.indices([2] * 12).reshape(12, -1).T
    truth = synthetic.truth(codes)
    assert best_feasible(synthetic, proposed) == pytest.approx(truth[truth[:, 1] <= limit, 0].min())


def test_without_a_budget_the_front_is_opened_member_by_member():
    volumes = {}
    for cls in (LocalSearch, RandomSearch):
        synthetic = zdt1_problem(10, 6, seed=1)
        proposed = run_strategy(cls(synthetic.problem), synthetic, 1000)
        points = synthetic.truth(synthetic.problem.space.encode(proposed))
        volumes[cls] = hypervolume(points, np.array([6.0, 1.1]))
    second = np.linspace(0.0, 1.0, 6)
    front = np.stack([1.0 - np.sqrt(second), second], axis=1)
    # the untouched model is the end (1, 0) of the front and is never proposed; one step from it is (1.2, 0)
    front[0, 0] = 1.2
    whole = hypervolume(front, np.array([6.0, 1.1]))
    assert volumes[LocalSearch] == pytest.approx(whole)
    assert volumes[RandomSearch] < 0.85 * whole


def test_beats_random_at_a_budget():
    synthetic = additive_problem(20, 3, seed=4)
    walked = run_strategy(LocalSearch(synthetic.problem), synthetic, 2000)
    drawn = run_strategy(RandomSearch(synthetic.problem), synthetic, 2000)
    assert best_feasible(synthetic, walked) < 0.75 * best_feasible(synthetic, drawn)


def test_the_untouched_model_is_no_start_although_it_is_told_first():
    synthetic = additive_problem(9)
    strategy = LocalSearch(synthetic.problem)
    strategy.tell(synthetic.trials([synthetic.problem.space.default]))
    assert strategy.state_dict()["center"]["codes"] == []


@pytest.mark.parametrize("wrong", [{"breadth": 0}, {"swaps": -1}, {"kick": 0.0}, {"kick": 1.1}, {"front": 0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(StrategyError, match="breadth and front"):
        LocalSettings(**wrong)
