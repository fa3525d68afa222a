from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import optuna
import pytest

from automl.core.budget import Budget
from automl.core.errors import StrategyError
from automl.core.measurement import Measurement
from automl.core.measurement import Metric
from automl.core.trial import Trial
from automl.core.trial import TrialState
from automl.searchspaces.space import SearchSpace
from automl.strategies.optuna_sampler import OptunaSampler
from automl.strategies.optuna_sampler import constrained_value
from automl.strategies.optuna_sampler import signed_excess
from automl.strategies.random_search import RandomSearch
from automl.strategies.table import strategy_class
from automl.testing.problems import additive_problem
from automl.testing.problems import integer_space
from automl.testing.problems import table_problem
from automl.testing.strategy_suite import StrategySuite
from automl.testing.strategy_suite import run_strategy


class TestTpe(StrategySuite):
    def make(self, problem):
        return OptunaSampler.variant("tpe")(problem)


class TestNsga2(StrategySuite):
    def make(self, problem):
        return OptunaSampler.variant("nsgaii")(problem)


class TestNsga3(StrategySuite):
    def make(self, problem):
        return OptunaSampler.variant("nsgaiii")(problem)


class TestCmaEs(StrategySuite):
    def make(self, problem):
        return OptunaSampler.variant("cmaes")(problem)


class TestQmc(StrategySuite):
    def make(self, problem):
        return OptunaSampler.variant("qmc")(problem)


class TestRandom(StrategySuite):
    def make(self, problem):
        return OptunaSampler.variant("random")(problem)


@pytest.mark.slow
class TestGp(StrategySuite):
    """About half a second a proposal, and the suite asks for some hundreds."""

    evaluations = 24

    def make(self, problem):
        return OptunaSampler.variant("gp")(problem)


def test_gp_learns_and_resumes():
    synthetic = additive_problem(5, 3, seed=2)
    whole = run_strategy(strategy_class("optuna:gp")(synthetic.problem), synthetic, 20, batch=4)
    first, second = (strategy_class("optuna:gp")(synthetic.problem) for _ in range(2))
    head = run_strategy(first, synthetic, 16, batch=4)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert head + run_strategy(second, synthetic, 4, batch=4, first=17) == whole
    synthetic.problem.space.validate(whole[-1])
    assert len(set(whole)) == 20


def test_the_class_name_of_a_sampler_leads_to_the_same_strategy():
    assert strategy_class("optuna:TPESampler").info == strategy_class("optuna:tpe").info


def test_seeds_come_first_in_their_order():
    synthetic = additive_problem(6)
    seeds = tuple(synthetic.problem.space.uniform("level", level) for level in (2, 1))
    strategy = OptunaSampler.variant("nsgaii")(replace(synthetic.problem, seeds=seeds))
    assert tuple(strategy.ask(3)[:2]) == seeds


def test_a_sampler_that_lists_the_space_ends_with_every_member():
    synthetic = additive_problem(3, 3)
    proposed = run_strategy(OptunaSampler.variant("bruteforce")(synthetic.problem), synthetic, 40)
    assert len(set(proposed)) == 26


def test_a_space_that_a_sampler_cannot_serve_is_told_in_one_sentence():
    strategy = OptunaSampler.variant("bruteforce")(additive_problem(2000).problem)
    with pytest.raises(StrategyError, match="optuna:bruteforce cannot propose in a space of 2000 dimensions"):
        strategy.ask(2)


def trials_in(strategy):
    return strategy._study.get_trials(deepcopy=False)


def test_hard_budgets_are_constraints_and_losses_are_minimized():
    synthetic = additive_problem(6)
    budget = synthetic.problem.budgets[0]
    soft = Budget("soft:size", "size_bytes", 1.0, hard=False)
    strategy = OptunaSampler.variant("tpe")(replace(synthetic.problem, budgets=(budget, soft)))
    trials = synthetic.trials(strategy.ask(12), 1)
    strategy.tell(trials)
    told = [t for t in trials_in(strategy) if t.state == optuna.trial.TrialState.COMPLETE]
    for ours, theirs in zip(trials, told, strict=True):
        assert theirs.values == [ours.value("kl"), ours.value("size_bytes")]
        over = ours.value("size_bytes") / budget.limit - 1.0
        assert theirs.constraints == {budget.text: pytest.approx(over)}
    assert 0 < sum(t.constraints[budget.text] > 0 for t in told) < 12


def test_failed_and_partial_trials_fail_in_the_study():
    synthetic = additive_problem(6)
    strategy = OptunaSampler.variant("tpe")(synthetic.problem)
    first, second = strategy.ask(2)
    strategy.tell(synthetic.failed([first], 1))
    partial = Measurement({"kl": Metric(0.125)})
    strategy.tell([Trial(2, second, TrialState.COMPLETE, measurement=partial)])
    assert [t.state for t in trials_in(strategy)] == [optuna.trial.TrialState.FAIL] * 2


@pytest.mark.parametrize("name", ["tpe", "nsgaii"])
def test_trials_from_elsewhere_teach(name):
    """Where all of them had one option of three, most new candidates have it."""
    synthetic = additive_problem(8, 3, fraction=None, seed=1)
    space = synthetic.problem.space
    codes = space.sample(np.random.default_rng(0), 60)
    codes[:, 3] = 1
    strategy = OptunaSampler.variant(name)(synthetic.problem)
    strategy.tell(synthetic.trials([space.decode(c) for c in codes], 1))
    children = space.encode(strategy.ask(24))
    assert (children[:, 3] == 1).mean() > 0.6


def test_a_genetic_sampler_breeds_from_the_seeds():
    synthetic = additive_problem(8, 3, fraction=None, seed=1)
    space = synthetic.problem.space
    codes = space.sample(np.random.default_rng(0), 50)
    codes[:, 3] = 1
    codes = np.unique(codes, axis=0)
    seeded = replace(synthetic.problem, seeds=tuple(space.decode(c) for c in codes))
    strategy = OptunaSampler.variant("nsgaii")(seeded)
    run_strategy(strategy, synthetic, 50)
    assert (space.encode(strategy.ask(24))[:, 3] == 1).mean() > 0.75


def best_feasible(synthetic, proposed):
    limit = synthetic.problem.budgets[0].limit
    return min(
        (m["kl"].value for m in synthetic.measure(proposed) if m["size_bytes"].value <= limit), default=np.inf
    )


def test_cma_es_minimizes_the_first_objective_under_the_budget():
    synthetic = additive_problem(16, 4, seed=4)
    bred = run_strategy(OptunaSampler.variant("cmaes")(synthetic.problem), synthetic, 400)
    drawn = run_strategy(RandomSearch(synthetic.problem), synthetic, 400)
    assert best_feasible(synthetic, bred) < best_feasible(synthetic, drawn)


def test_cma_es_serves_options_without_order():
    synthetic = additive_problem(6)
    space = integer_space([3] * 6, ordinal=False)
    mixed = SearchSpace((*synthetic.problem.space.dimensions[:3], *space.dimensions[3:]))
    problem = table_problem(mixed, synthetic.problem.tables, limit=synthetic.problem.budgets[0].limit)
    proposed = run_strategy(OptunaSampler.variant("cmaes")(problem.problem), problem, 60)
    assert len(set(proposed)) == 60


def test_saved_state_holds_history_and_nothing_pickled():
    synthetic = additive_problem(6)
    strategy = OptunaSampler.variant("cmaes")(synthetic.problem)
    run_strategy(strategy, synthetic, 40)
    assert any("cmawm:optimizer:0" in t.system_attrs for t in trials_in(strategy))
    state = strategy.state_dict()
    assert set(state) == {"strategy", "space", "log"}
    assert "optimizer" not in json.dumps(state)


def test_a_state_that_the_sampler_cannot_repeat_is_refused():
    synthetic = additive_problem(6)
    strategy = OptunaSampler.variant("tpe")(synthetic.problem)
    run_strategy(strategy, synthetic, 16)
    state = json.loads(json.dumps(strategy.state_dict()))
    state["log"][0]["keys"][0] = "0" * 24
    with pytest.raises(StrategyError, match="proposes other candidates than when its state was saved"):
        OptunaSampler.variant("tpe")(synthetic.problem).load_state_dict(state)


@pytest.mark.parametrize(("value", "excess"), [(12.0, 0.2), (10.0, 0.0), (7.5, -0.25), (10.0 + 1e-9, 0.0)])
def test_excess_is_relative_to_the_limit_and_negative_below_it(value, excess):
    measurement = Measurement({"size_bytes": Metric(value)})
    assert signed_excess(Budget("b", "size_bytes", 10.0), measurement) == pytest.approx(excess, abs=1e-12)


def test_excess_of_a_lower_limit_is_what_is_missing():
    measurement = Measurement({"accuracy": Metric(0.6)})
    assert signed_excess(Budget("b", "accuracy", 0.8, at_least=True), measurement) == pytest.approx(0.25)
    assert signed_excess(Budget("b", "accuracy", 0.5, at_least=True), measurement) == pytest.approx(-0.2)


def test_one_number_puts_feasible_losses_in_order_before_violations_in_order():
    rows = [(-1e9, [-1.0]), (0.0, [0.0]), (3.0, []), (1e9, [-0.1]), (-5.0, [0.1, -1.0]), (-5.0, [0.1, 0.1])]
    values = [constrained_value(loss, excess) for loss, excess in rows]
    assert values == sorted(set(values))
