from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from automl.core.errors import StrategyError
from automl.core.indicators import hypervolume
from automl.strategies.evolutionary import Evolutionary
from automl.strategies.evolutionary import EvolutionSettings
from automl.strategies.operators.design import uniform_codes
from automl.strategies.random_search import RandomSearch
from automl.strategies.surrogate import Surrogate
from automl.strategies.surrogate import SurrogateSettings
from automl.testing.problems import additive_problem
from automl.testing.problems import single_objective_problem
from automl.testing.strategy_suite import StrategySuite
from automl.testing.strategy_suite import run_strategy
from tests.strategies.test_surrogate_model import interacting

LIGHT = SurrogateSettings(generations=2, breadth=24)


class TestSurrogate(StrategySuite):
    def make(self, problem):
        return Surrogate(problem, screening=LIGHT)


class TestPricedSurrogate(StrategySuite):
    """The same contract with a prediction that is right for the cost and wrong for the quality."""

    def make(self, problem):
        tables = problem.tables

        def predict(codes):
            columns = [tables.predict(o.metric, codes) for o in problem.objectives]
            columns[0] = columns[0] + 0.3 * columns[0].mean() * np.sin(codes.sum(axis=1))
            return np.stack(columns, axis=1)

        return Surrogate(replace(problem, predict=predict), screening=LIGHT)


def volume(synthetic, proposed):
    points = synthetic.truth(synthetic.problem.space.encode(proposed))
    worst = synthetic.truth(np.array([[2] * 20, [0] * 20])).max(axis=0)
    return hypervolume(points / worst, np.ones(2))


@pytest.mark.parametrize(("priced", "times"), [(False, 8), (True, 2)])
def test_it_needs_a_fraction_of_the_evaluations_of_evolution(priced, times):
    synthetic = interacting(20)
    problem = synthetic.problem if priced else replace(synthetic.problem, predict=None)
    problem = replace(problem, budgets=())
    learned = run_strategy(Surrogate(problem), synthetic, 80)
    bred = run_strategy(Evolutionary(problem), synthetic, times * 80)
    assert volume(synthetic, learned) > volume(synthetic, bred)


def test_in_fifty_evaluations_it_passes_a_thousand_random_ones():
    synthetic = interacting(20)
    problem = replace(synthetic.problem, predict=None, budgets=())
    learned = run_strategy(Surrogate(problem), synthetic, 50)
    drawn = run_strategy(RandomSearch(problem), synthetic, 1000)
    assert volume(synthetic, learned) > volume(synthetic, drawn)


def test_a_blind_search_begins_with_uniform_configurations_and_can_be_told_not_to():
    synthetic = additive_problem(9, give_tables=False)
    problem = replace(synthetic.problem, predict=None)
    uniform = {tuple(code) for code in uniform_codes(problem.space).tolist()}
    begun = problem.space.encode(Surrogate(problem).ask(8))
    assert tuple(begun[0]) in uniform
    plain = Surrogate(problem, screening=SurrogateSettings(designed=False))
    evolution = Evolutionary(problem, settings=EvolutionSettings(start=16))
    assert plain.ask(8) == evolution.ask(8)


def test_seeds_come_before_the_uniform_configurations():
    synthetic = additive_problem(9, give_tables=False)
    space = synthetic.problem.space
    seeds = tuple(space.decode(row) for row in space.sample(np.random.default_rng(3), 3))
    problem = replace(synthetic.problem, predict=None, seeds=seeds)
    begun = Surrogate(problem).ask(8)
    assert tuple(begun[:3]) == seeds
    assert tuple(space.encode(begun[3:4])[0]) in {tuple(c) for c in uniform_codes(space).tolist()}


def test_optimism_grows_with_the_trials():
    synthetic = interacting(20)
    problem = replace(synthetic.problem, predict=None, budgets=())

    def proposed(**screening):
        return run_strategy(Surrogate(problem, screening=SurrogateSettings(**screening)), synthetic, 60)

    at_once, never, between = proposed(halfway=0.0), proposed(halfway=1e15), proposed()
    assert never == proposed(optimism=0.0)
    assert at_once != never
    assert between not in (at_once, never)


def test_while_the_prediction_is_not_used_it_is_evolution():
    """An exact prediction cannot be beaten, so nothing that is learned is ever used."""
    synthetic = additive_problem(9)
    synthetic = replace(synthetic, problem=replace(synthetic.problem, predict=synthetic.truth))
    strategy = Surrogate(synthetic.problem)
    evolution = Evolutionary(synthetic.problem, settings=EvolutionSettings(start=16))
    assert run_strategy(strategy, synthetic, 60) == run_strategy(evolution, synthetic, 60)
    assert not any(row["in_use"] for row in strategy.report)
    assert all("does not beat" in row["reason"] for row in strategy.report)


def test_pure_chance_is_not_learned():
    used = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        noise = lambda codes, rng=rng: rng.random((len(codes), 2)) * [1.0, 9e4]  # noqa: E731 - a closure a seed
        synthetic = replace(additive_problem(9, seed=seed), truth=noise)
        strategy = Surrogate(synthetic.problem, screening=LIGHT)
        run_strategy(strategy, synthetic, 96)
        used += [row["in_use"] for row in strategy.report]
    assert sum(used) <= 2


def test_report_is_in_the_state_as_plain_json():
    synthetic = interacting()
    strategy = Surrogate(synthetic.problem, screening=LIGHT)
    run_strategy(strategy, synthetic, 48)
    assert json.loads(json.dumps(strategy.state_dict()))["report"] == strategy.report
    assert [row["metric"] for row in strategy.report] == ["kl", "size_bytes"]
    assert strategy.report[0]["predicted"] >= 24


def test_a_budget_on_a_metric_that_is_no_objective_is_predicted_too():
    synthetic = single_objective_problem(interacting(14))
    problem = replace(synthetic.problem, predict=None)
    strategy = Surrogate(problem)
    proposed = run_strategy(strategy, synthetic, 120)
    assert [row["metric"] for row in strategy.report] == ["kl", "size_bytes"]
    limit = problem.budgets[0].limit
    late = [m["size_bytes"].value <= limit for m in synthetic.measure(proposed[60:])]
    drawn = [m["size_bytes"].value <= limit for m in synthetic.measure(proposed[:16])]
    assert np.mean(late) > max(0.7, np.mean(drawn))


def test_an_impossible_budget_is_approached():
    synthetic = additive_problem(14, fraction=-1.0)
    proposed = run_strategy(Surrogate(synthetic.problem), synthetic, 80)
    sizes = [m["size_bytes"].value for m in synthetic.measure(proposed)]
    assert min(sizes) < 1.1 * 2 * synthetic.problem.budgets[0].limit


def test_memory_is_bounded_and_keeps_the_best_and_the_newest():
    synthetic = interacting()
    few = SurrogateSettings(generations=1, breadth=8, remembered=32)
    strategy = Surrogate(synthetic.problem, screening=few)
    proposed = run_strategy(strategy, synthetic, 120)
    state = strategy.state_dict()
    kept = {tuple(code) for code in state["model_codes"]}
    assert len(kept) == 32
    newest = synthetic.problem.space.encode(proposed[-16:])
    assert {tuple(code) for code in newest.tolist()} <= kept
    points = np.array(state["points"])
    feasible = [i for i, v in enumerate(state["violations"]) if v == 0]
    best = feasible[int(np.argmin(points[feasible, 0]))]
    assert tuple(state["codes"][best]) in kept
    assert state["told"] == 120


def test_a_thousand_dimensions_are_learned_from():
    synthetic = additive_problem(1000)
    strategy = Surrogate(synthetic.problem, screening=LIGHT)
    proposed = run_strategy(strategy, synthetic, 32)
    assert len(set(proposed)) == 32
    assert strategy.report[1]["predicted"] == 24


@pytest.mark.parametrize(
    "wrong",
    [
        {"generations": 0},
        {"breadth": 1},
        {"remembered": 8},
        {"plain": 1.5},
        {"plain": -0.1},
        {"optimism": -1.0},
        {"halfway": -1.0},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(StrategyError):
        SurrogateSettings(**wrong)


def test_remarks_say_what_is_switched_off_and_how_well_the_rest_holds():
    synthetic = additive_problem(9, give_tables=False)
    strategy = Surrogate(synthetic.problem)
    assert all("switched off: 0 of the" in remark for remark in strategy.remarks)
    run_strategy(strategy, synthetic, 120)
    by_metric = dict(zip(("kl", "size_bytes"), strategy.remarks, strict=True))
    report = {row["metric"]: row for row in strategy.report}
    for metric, remark in by_metric.items():
        assert remark.startswith(f"learned prediction of {metric} ")
        assert ("in use" in remark) is report[metric]["in_use"]
        assert "95 % interval" in remark


def test_curves_end_where_the_report_of_the_calibration_does():
    synthetic = additive_problem(9, give_tables=False)
    strategy = Surrogate(synthetic.problem)
    assert strategy.curves == ()
    run_strategy(strategy, synthetic, 120)
    for curve, row in zip(strategy.curves, strategy.report, strict=True):
        assert curve.title == f"prediction of {row['metric']} by surrogate"
        assert curve.steps[-1] == row["predicted"]
        learned, plain, held = curve.series
        assert learned.axis == plain.axis != held.axis
        assert (learned.values[-1], plain.values[-1]) == (row["error"], row["baseline_error"])
        assert held.values[-1] == 100 * row["coverage_95"]
