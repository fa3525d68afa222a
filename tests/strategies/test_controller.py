from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from automl.core.errors import StrategyError
from automl.core.indicators import hypervolume
from automl.strategies.controller import Controller
from automl.strategies.controller import ControllerSettings
from automl.strategies.controller import Reinforce
from automl.strategies.random_search import RandomSearch
from automl.testing.linkage import gene_table_problem
from automl.testing.problems import additive_problem
from automl.testing.problems import zdt1_problem
from automl.testing.strategy_suite import StrategySuite
from automl.testing.strategy_suite import run_strategy


class TestController(StrategySuite):
    def make(self, problem):
        return Controller(problem)


class TestReinforce(StrategySuite):
    def make(self, problem):
        return Reinforce(problem)


def best_feasible(synthetic, proposed):
    limit = synthetic.problem.budgets[0].limit
    return min(m["kl"].value for m in synthetic.measure(proposed) if m["size_bytes"].value <= limit)


def test_six_genes_are_solved_where_random_is_not():
    for seed in range(3):
        synthetic, largest = gene_table_problem(seed=seed)
        share = {}
        for cls in (Controller, Reinforce, RandomSearch):
            proposed = run_strategy(cls(synthetic.problem), synthetic, 400)
            share[cls] = -min(m["kl"].value for m in synthetic.measure(proposed)) / largest
        assert share[Controller] >= 0.99
        assert share[Reinforce] >= 0.98
        assert share[RandomSearch] < 0.95


def test_beats_random_at_a_budget():
    synthetic = additive_problem(20, 3, seed=4)
    learned = run_strategy(Controller(synthetic.problem), synthetic, 600)
    drawn = run_strategy(RandomSearch(synthetic.problem), synthetic, 2000)
    assert best_feasible(synthetic, learned) < 0.7 * best_feasible(synthetic, drawn)


def test_covers_a_front_where_no_budget_names_its_end():
    volumes = {}
    for cls in (Controller, RandomSearch):
        synthetic = zdt1_problem(seed=1)
        proposed = run_strategy(cls(synthetic.problem), synthetic, 1000)
        points = synthetic.truth(synthetic.problem.space.encode(proposed))
        volumes[cls] = hypervolume(points, np.array([6.0, 1.1]))
    assert volumes[Controller] > 1.3 * volumes[RandomSearch]


def test_entropy_falls_and_reward_rises():
    synthetic = additive_problem(20, 3, seed=4)
    strategy = Controller(synthetic.problem)
    run_strategy(strategy, synthetic, 600)
    curve = np.array(strategy.state_dict()["gradient"]["curve"]["rows"])
    assert curve[-10:, 1].mean() < 0.8 * curve[0, 1]
    assert curve[-10:, 2].mean() > curve[:10, 2].mean() + 1.0


def test_seeds_come_first_and_lead_the_policy():
    synthetic = additive_problem(12)
    seed = synthetic.problem.space.uniform("level", 2)
    problem = replace(synthetic.problem, seeds=(seed,))
    proposed = Controller(problem).ask(9)
    assert proposed[0] == seed
    same = (problem.space.encode(proposed[1:]) == 2).mean()
    assert same == pytest.approx(0.9 + 0.1 / 3, abs=0.1)


def test_what_the_policy_repeats_trains_it_without_an_evaluation():
    synthetic = additive_problem(2, 3, fraction=None)
    strategy = Controller(synthetic.problem)
    strategy.tell(synthetic.trials(strategy.ask(8), 1))
    # the whole space but the untouched model was proposed; the policy played further episodes meanwhile
    assert strategy.ask(8) == []
    strategy.tell([])
    assert len(strategy.state_dict()["gradient"]["curve"]["rows"]) > 1


def test_an_exponent_too_weak_for_the_budget_grows():
    synthetic = additive_problem(9, fraction=0.02)
    strategy = Controller(synthetic.problem)
    start = strategy.state_dict()["reward"]["exponent"]
    run_strategy(strategy, synthetic, 80)
    assert strategy.state_dict()["reward"]["exponent"] > 1.2 * start


def test_state_of_another_width_is_refused():
    problem = additive_problem(4).problem
    wide = Controller(problem, settings=ControllerSettings(hidden=16))
    with pytest.raises(StrategyError, match="other settings"):
        Controller(problem).load_state_dict(wide.state_dict())


@pytest.mark.parametrize("wrong", [{"hidden": 0}, {"embedding": 0}, {"focus": 1.5}, {"trust": 1.0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(StrategyError):
        ControllerSettings(**wrong)
