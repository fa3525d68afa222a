from __future__ import annotations

import numpy as np

from automl.strategies.random_search import RandomSearch
from automl.testing.problems import additive_problem
from automl.testing.problems import conditional_problem
from automl.testing.problems import integer_space
from automl.testing.problems import table_problem
from automl.testing.strategy_suite import StrategySuite
from automl.testing.strategy_suite import run_strategy


class TestRandomSearch(StrategySuite):
    def make(self, problem):
        return RandomSearch(problem)


def with_seeds(synthetic, seeds):
    from dataclasses import replace

    return replace(synthetic, problem=replace(synthetic.problem, seeds=tuple(seeds)))


def test_seeds_come_first_once_and_without_the_default():
    synthetic = additive_problem(6)
    space = synthetic.problem.space
    seeds = [space.uniform("level", 2), space.default, space.uniform("level", 1), space.uniform("level", 2)]
    proposed = RandomSearch(with_seeds(synthetic, seeds).problem).ask(5)
    assert proposed[:2] == [seeds[0], seeds[2]]
    assert len(set(proposed)) == 5


def test_exhausts_a_small_space():
    synthetic = additive_problem(4, 3)
    proposed = run_strategy(RandomSearch(synthetic.problem), synthetic, 10_000, batch=17)
    assert len(set(proposed)) == len(proposed) == 3**4 - 1


def test_exhausts_a_conditional_space():
    synthetic = conditional_problem()
    space = synthetic.problem.space
    codes = np.indices([3] * 8).reshape(8, -1).T
    members = len(np.unique(space.repair(codes), axis=0))
    proposed = run_strategy(RandomSearch(synthetic.problem), synthetic, 10_000, batch=200)
    assert len(proposed) == members - 1


def test_is_uniform_over_options():
    synthetic = additive_problem(12, 4)
    codes = synthetic.problem.space.encode(RandomSearch(synthetic.problem).ask(4000))
    shares = np.stack([(codes == option).mean(axis=0) for option in range(4)])
    # four standard deviations of a share of 4,000 draws at 1/4
    assert np.abs(shares - 0.25).max() < 4 * np.sqrt(0.25 * 0.75 / 4000)


def test_different_seeds_propose_differently():
    asked = [RandomSearch(additive_problem(9, seed=s).problem).ask(10) for s in (0, 1)]
    assert asked[0] != asked[1]


def test_needs_no_tables():
    tables = additive_problem(3).problem.tables
    synthetic = table_problem(integer_space([3] * 3), tables, give_tables=False)
    assert len(RandomSearch(synthetic.problem).ask(4)) == 4
