from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from automl.core.errors import StrategyError
from automl.core.indicators import hypervolume
from automl.strategies.differentiable import Differentiable
from automl.strategies.differentiable import DifferentiableSettings
from automl.strategies.differentiable import radical_inverse
from automl.strategies.exact import Exact
from automl.strategies.random_search import RandomSearch
from automl.strategies.relaxation_math import Multilinear
from automl.strategies.relaxation_math import padded
from automl.testing.problems import additive_problem
from automl.testing.strategy_suite import StrategySuite
from automl.testing.strategy_suite import run_strategy


def task_loss(problem, asked=None):
    """Return a relaxed loss that knows the truth: the prices, with a bend that no price shows."""
    width = int(problem.space.cardinalities.max())
    metric = Multilinear(padded(list(problem.tables.unary["kl"]), width))

    def relaxed(shares, step):
        if asked is not None:
            asked.append(step)
        value, slopes = metric.average(shares[None])
        return float(np.sqrt(1.0 + value[0])), slopes[0] / (2.0 * np.sqrt(1.0 + value[0]))

    return relaxed


class TestDifferentiable(StrategySuite):
    def make(self, problem):
        return Differentiable(problem)


class TestDifferentiableWithoutPrices(StrategySuite):
    """The same contract where effects come from trials alone."""

    def make(self, problem):
        return Differentiable(replace(problem, tables=None))


class TestDifferentiableOnATaskLoss(StrategySuite):
    """The same contract where a relaxed loss is handed in."""

    def make(self, problem):
        return Differentiable(replace(problem, relaxed=task_loss(problem)))


def best_feasible(synthetic, proposed):
    limit = synthetic.problem.budgets[0].limit * (1 + 1e-9)
    return min(m["kl"].value for m in synthetic.measure(proposed) if m["size_bytes"].value <= limit)


@pytest.mark.parametrize(("give_tables", "evaluations", "near"), [(True, 40, 1.02), (False, 400, 1.02)])
def test_comes_near_the_optimum_with_prices_and_from_trials_alone(give_tables, evaluations, near):
    optimum = additive_problem(20, 3, seed=4)
    best = optimum.measure(Exact(optimum.problem).ask(1))[0]["kl"].value
    synthetic = additive_problem(20, 3, seed=4, give_tables=give_tables)
    assert (
        best_feasible(synthetic, run_strategy(Differentiable(synthetic.problem), synthetic, evaluations))
        < near * best
    )


def test_without_a_budget_the_whole_front_is_covered():
    synthetic = additive_problem(20, 3, fraction=None, seed=3)
    found, drawn = (
        synthetic.truth(
            synthetic.problem.space.encode(run_strategy(cls(synthetic.problem), synthetic, count))
        )
        for cls, count in ((Differentiable, 100), (RandomSearch, 1000))
    )
    worst = np.concatenate([found, drawn]).max(axis=0)
    assert hypervolume(found / worst, np.ones(2)) > 1.1 * hypervolume(drawn / worst, np.ones(2))


def test_the_task_loss_is_followed_where_prices_mislead():
    synthetic = additive_problem(20, 3, seed=4)
    flat = {
        m: tuple(np.zeros(3) if m == "kl" else row for row in rows)
        for m, rows in synthetic.problem.tables.unary.items()
    }
    blind = replace(synthetic.problem, tables=replace(synthetic.problem.tables, unary=flat))
    seeing = replace(blind, relaxed=task_loss(synthetic.problem))
    without, with_ = (best_feasible(synthetic, Differentiable(p).ask(8)) for p in (blind, seeing))
    assert with_ < 0.5 * without


def test_the_task_loss_is_asked_once_a_step_of_one_relaxation():
    synthetic, asked = additive_problem(6), []
    settings = DifferentiableSettings(paths=3)
    problem = replace(synthetic.problem, relaxed=task_loss(synthetic.problem, asked))
    strategy = Differentiable(problem, settings=settings)
    strategy.ask(4)
    assert asked == list(range(settings.task.steps))
    strategy.ask(4)
    assert len(asked) == settings.task.steps


def test_training_waits_for_news():
    synthetic = additive_problem(9)
    strategy = Differentiable(synthetic.problem)
    counts = []
    for number in range(12):
        strategy.tell(synthetic.trials(strategy.ask(8), 8 * number))
        counts.append(strategy.state_dict()["trainings"])
    assert counts[0] == 1
    assert 3 <= counts[-1] <= 6


def test_the_first_proposal_is_within_the_budget_by_the_prices():
    synthetic = additive_problem(20, 3, seed=4)
    first = Differentiable(synthetic.problem, settings=DifferentiableSettings(paths=1, explore=0.0)).ask(1)
    assert best_feasible(synthetic, first) < np.inf


def test_places_on_the_front_spread_evenly():
    assert [radical_inverse(i) for i in range(5)] == [0.0, 0.5, 0.25, 0.75, 0.125]
    spread = sorted(radical_inverse(i) for i in range(1, 64))
    assert np.allclose(np.diff(spread), 1 / 64)


@pytest.mark.parametrize(
    "wrong",
    [
        {"paths": 0},
        {"drawn": 0},
        {"start": 0},
        {"growth": 1.0},
        {"remembered": 4},
        {"focus": 1.5},
        {"explore": -0.1},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(StrategyError):
        DifferentiableSettings(**wrong)
