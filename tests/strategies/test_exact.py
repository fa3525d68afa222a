from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from automl.core.budget import Budget
from automl.core.errors import StrategyError
from automl.core.objective import Objective
from automl.strategies.base import AdditiveTables
from automl.strategies.exact import Exact
from automl.strategies.exact import ExactSettings
from automl.strategies.operators.sampling import enumerate_codes
from automl.testing.problems import additive_problem
from automl.testing.problems import conditional_problem
from automl.testing.strategy_suite import StrategySuite


class TestExact(StrategySuite):
    def make(self, problem):
        return Exact(problem)


class TestExactSmallStages(StrategySuite):
    """The same contract with short stages, so that every check crosses all of them."""

    def make(self, problem):
        return Exact(problem, settings=ExactSettings(front_points=6, neighbours=12))


def brute_force(synthetic):
    """Return every member with its values, and the least quality loss within the budget."""
    codes = enumerate_codes(synthetic.problem.space)
    values = synthetic.truth(codes)
    limit = synthetic.problem.budgets[0].limit
    return codes, values, values[values[:, 1] <= limit, 0].min()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["plain", "pairs", "conditions"])
def test_first_proposal_is_the_optimum_of_all_members(seed, kind):
    synthetic = {
        "plain": lambda: additive_problem(8, seed=seed),
        "pairs": lambda: additive_problem(8, seed=seed, pairs=True),
        "conditions": lambda: conditional_problem(seed=seed),
    }[kind]()
    strategy = Exact(synthetic.problem)
    (measured,) = synthetic.measure(strategy.ask(1))
    assert measured["size_bytes"].value <= synthetic.problem.budgets[0].limit
    assert measured["kl"].value == pytest.approx(brute_force(synthetic)[2], rel=1e-9)
    assert strategy.solutions[0]["status"] == "optimal"
    assert strategy.solutions[0]["gap"] == 0.0


def test_front_stage_proposes_only_points_of_the_additive_front():
    synthetic = additive_problem(8, seed=1)
    _, values, _ = brute_force(synthetic)
    strategy = Exact(synthetic.problem, settings=ExactSettings(front_points=12, neighbours=0))
    proposed = strategy.ask(100)
    assert len(proposed) >= 8
    for loss, cost in synthetic.truth(synthetic.problem.space.encode(proposed)):
        better = (values[:, 0] < loss - 1e-9) & (values[:, 1] <= cost + 1e-9)
        assert not better.any()


def test_neighbours_fit_the_budget_and_come_with_least_harm_first():
    synthetic = additive_problem(8, seed=1)
    strategy = Exact(synthetic.problem, settings=ExactSettings(front_points=0, neighbours=20))
    values = synthetic.truth(synthetic.problem.space.encode(strategy.ask(100)))
    optimum, rest = values[0], values[2:]
    assert len(rest) >= 10
    assert (rest[:, 1] <= synthetic.problem.budgets[0].limit).all()
    assert (rest[:, 0] >= optimum[0] - 1e-9).all()
    assert (np.diff(rest[:, 0]) >= -1e-9).all()


def test_two_budgets_hold_together():
    synthetic = additive_problem(8, seed=2)
    problem = synthetic.problem
    codes, values, _ = brute_force(synthetic)
    rng = np.random.default_rng(0)
    memory = tuple(rng.uniform(0.0, 1.0, size=3) for _ in range(8))
    tables = AdditiveTables({**problem.tables.unary, "memory_bytes": memory})
    use = tables.predict("memory_bytes", codes)
    limit = float(np.quantile(use, 0.1))
    both = replace(
        problem, tables=tables, budgets=(*problem.budgets, Budget("memory", "memory_bytes", limit))
    )
    (first,) = Exact(both).ask(1)
    code = problem.space.encode([first])
    fits = (use <= limit) & (values[:, 1] <= problem.budgets[0].limit)
    assert tables.predict("kl", code)[0] == pytest.approx(values[fits, 0].min(), rel=1e-9)
    assert tables.predict("memory_bytes", code)[0] <= limit * (1 + 1e-9)


def test_soft_budget_is_also_answered_without_it():
    synthetic = additive_problem(8, seed=2)
    hard = synthetic.problem.budgets[0]
    soft = replace(hard, metric="kl", limit=1e-3, hard=False, text="soft:kl=0.001")
    strategy = Exact(replace(synthetic.problem, budgets=(hard, soft)))
    (first,) = strategy.ask(1)
    assert synthetic.measure([first])[0]["kl"].value == pytest.approx(brute_force(synthetic)[2])
    assert [row["status"] for row in strategy.solutions[:2]] == ["infeasible", "optimal"]


def test_impossible_budget_is_answered_by_the_cheapest():
    synthetic = additive_problem(8, fraction=-1.0)
    (first,) = Exact(synthetic.problem).ask(1)
    _, values, _ = brute_force(additive_problem(8))
    assert synthetic.measure([first])[0]["size_bytes"].value == pytest.approx(values[:, 1].min())


def test_at_least_budgets_limit_the_negated_table():
    synthetic = additive_problem(6, seed=3)
    gain = tuple(np.array([-0.2, -0.1, 0.0]) for _ in range(6))
    tables = AdditiveTables({"size_bytes": synthetic.problem.tables.unary["size_bytes"], "accuracy": gain})
    problem = replace(
        synthetic.problem,
        objectives=(Objective("size_bytes"), Objective("accuracy")),
        tables=tables,
        budgets=(Budget("accuracy>=0.5", "accuracy", 0.5, at_least=True),),
    )
    (first,) = Exact(problem).ask(1)
    assert -tables.predict("accuracy", problem.space.encode([first]))[0] == pytest.approx(0.5)
    assert -tables.predict("accuracy", problem.space.encode([first]))[0] >= 0.5 - 1e-9


def test_constants_count_towards_the_limit():
    synthetic = additive_problem(8, seed=1)
    tables = synthetic.problem.tables
    limit = synthetic.problem.budgets[0]
    shifted = replace(
        synthetic.problem,
        tables=replace(tables, constant={"size_bytes": 500.0}),
        budgets=(replace(limit, limit=limit.limit + 500.0),),
    )
    assert Exact(shifted).ask(1) == Exact(synthetic.problem).ask(1)


def test_binned_front_still_keeps_the_limit():
    synthetic = additive_problem(40, seed=1)
    coarse = Exact(synthetic.problem, settings=ExactSettings(max_bins=50))
    fine = Exact(synthetic.problem, settings=ExactSettings(max_bins=10**7))
    values = [synthetic.measure(s.ask(1))[0] for s in (coarse, fine)]
    assert fine.solutions[0]["method"] == "frontier"
    assert coarse.solutions[0]["method"] == "milp"
    assert all(v["size_bytes"].value <= synthetic.problem.budgets[0].limit for v in values)
    assert values[0]["kl"].value == pytest.approx(values[1]["kl"].value, rel=2e-4)


def test_state_between_stages_carries_what_was_solved():
    synthetic = additive_problem(8, pairs=True)
    strategy = Exact(synthetic.problem, settings=ExactSettings(front_points=3))
    strategy.ask(2)
    other = Exact(synthetic.problem)
    other.load_state_dict(json.loads(json.dumps(strategy.state_dict())))
    assert other.solutions == strategy.solutions


def test_objective_without_a_table_is_named():
    problem = replace(additive_problem(4).problem, objectives=(Objective("accuracy"),))
    with pytest.raises(StrategyError, match=r"'accuracy'.*kl, size_bytes"):
        Exact(problem)


def test_tables_of_another_space_are_refused():
    problem = replace(additive_problem(4).problem, tables=additive_problem(5).problem.tables)
    with pytest.raises(StrategyError, match="does not list the options"):
        Exact(problem)


def test_relative_budget_is_refused():
    problem = additive_problem(4).problem
    relative = replace(problem.budgets[0], relative=True)
    with pytest.raises(StrategyError, match="resolve"):
        Exact(replace(problem, budgets=(relative,)))


def test_a_budget_on_what_has_no_price_changes_nothing():
    synthetic = additive_problem(8, seed=1)
    problem = synthetic.problem
    unpriced = replace(
        problem,
        budgets=(*problem.budgets, Budget("memory=1B", "memory_bytes", 1.0)),
        objectives=(*problem.objectives, Objective("memory_bytes")),
    )
    assert Exact(unpriced).ask(60) == Exact(problem).ask(60)
