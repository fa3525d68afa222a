from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from automl.core.errors import StrategyError
from automl.core.indicators import hypervolume
from automl.core.measurement import Measurement
from automl.core.measurement import Metric
from automl.core.objective import Objective
from automl.core.trial import Trial
from automl.core.trial import TrialState
from automl.strategies.evolutionary import Evolutionary
from automl.strategies.evolutionary import EvolutionSettings
from automl.strategies.evolutionary import Operators
from automl.strategies.evolutionary import bred
from automl.strategies.operators.mutation import Genes
from automl.strategies.random_search import RandomSearch
from automl.testing.problems import additive_problem
from automl.testing.problems import zdt1_problem
from automl.testing.strategy_suite import StrategySuite
from automl.testing.strategy_suite import run_strategy


class TestEvolutionary(StrategySuite):
    def make(self, problem):
        return Evolutionary(problem, settings=EvolutionSettings(population=16))


class TestScreenedEvolutionary(StrategySuite):
    """The same contract with a prediction that screens children."""

    def make(self, problem):
        tables = problem.tables

        def predict(codes):
            return np.stack([tables.predict(o.metric, codes) for o in problem.objectives], axis=1)

        return Evolutionary(replace(problem, predict=predict), settings=EvolutionSettings(population=16))


def best_feasible(synthetic, proposed):
    limit = synthetic.problem.budgets[0].limit
    measured = synthetic.measure(proposed)
    return min(m["kl"].value for m in measured if m["size_bytes"].value <= limit)


def test_seeds_come_first():
    synthetic = additive_problem(6)
    seed = synthetic.problem.space.uniform("level", 2)
    assert Evolutionary(replace(synthetic.problem, seeds=(seed,))).ask(3)[0] == seed


def test_front_is_much_better_than_random_on_zdt1():
    volumes = {}
    for cls in (Evolutionary, RandomSearch):
        synthetic = zdt1_problem(seed=1)
        proposed = run_strategy(cls(synthetic.problem), synthetic, 2000, batch=20)
        points = synthetic.truth(synthetic.problem.space.encode(proposed))
        volumes[cls] = hypervolume(points, np.array([6.0, 1.1]))
    assert volumes[Evolutionary] > 1.3 * volumes[RandomSearch]


def test_beats_random_at_a_budget():
    synthetic = additive_problem(20, 3, seed=4)
    bred = run_strategy(Evolutionary(synthetic.problem), synthetic, 2000, batch=20)
    drawn = run_strategy(RandomSearch(synthetic.problem), synthetic, 2000, batch=20)
    assert best_feasible(synthetic, bred) < 0.75 * best_feasible(synthetic, drawn)


def test_screening_by_a_true_prediction_needs_fewer_evaluations():
    synthetic = additive_problem(20, 3, seed=4)
    screened = replace(synthetic.problem, predict=synthetic.truth)
    plain = run_strategy(Evolutionary(synthetic.problem), synthetic, 400, batch=20)
    helped = run_strategy(Evolutionary(screened), synthetic, 400, batch=20)
    assert best_feasible(synthetic, helped) < best_feasible(synthetic, plain)


def test_screening_can_be_switched_off():
    synthetic = additive_problem(9)
    screened = replace(synthetic.problem, predict=synthetic.truth)
    off = EvolutionSettings(screen=1)
    assert run_strategy(Evolutionary(screened, settings=off), synthetic, 100) == run_strategy(
        Evolutionary(synthetic.problem), synthetic, 100
    )


def test_tell_in_one_batch_or_singly_keeps_the_same_best():
    synthetic = additive_problem(9)
    together, singly = Evolutionary(synthetic.problem), Evolutionary(synthetic.problem)
    trials = synthetic.trials(together.ask(150), 1)
    singly.ask(150)
    together.tell(trials)
    for trial in trials:
        singly.tell([trial])
    best = [np.array(s.state_dict()["points"])[:, 0].min() for s in (together, singly)]
    assert best[0] == best[1]


def test_a_candidate_told_again_replaces_its_values():
    synthetic = additive_problem(9)
    strategy = Evolutionary(synthetic.problem)
    (candidate,) = strategy.ask(1)
    strategy.tell(synthetic.trials([candidate], 1))
    again = Measurement({"kl": Metric(0.125), "size_bytes": Metric(1.0)})
    strategy.tell([Trial(2, candidate, TrialState.COMPLETE, measurement=again)])
    assert strategy.state_dict()["points"] == [[0.125, 1.0]]


def test_a_trial_without_the_budget_metric_does_not_inform():
    synthetic = additive_problem(9)
    strategy = Evolutionary(synthetic.problem)
    (candidate,) = strategy.ask(1)
    partial = Measurement({"kl": Metric(0.125)})
    strategy.tell([Trial(1, candidate, TrialState.COMPLETE, measurement=partial)])
    assert strategy.state_dict()["codes"] == []


def test_least_violation_lives_when_nothing_is_feasible():
    synthetic = additive_problem(9, fraction=-1.0)
    strategy = Evolutionary(synthetic.problem, settings=EvolutionSettings(population=8))
    proposed = run_strategy(strategy, synthetic, 400)
    cheapest = min(m["size_bytes"].value for m in synthetic.measure(proposed))
    assert min(p[1] for p in strategy.state_dict()["points"]) == cheapest
    assert cheapest == pytest.approx(2 * synthetic.problem.budgets[0].limit)


@pytest.mark.parametrize(
    "wrong",
    [{"population": 1}, {"pressure": 0}, {"screen": 0}, {"start": 0}, {"crossover": 1.5}, {"mutation": -0.1}],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(StrategyError):
        EvolutionSettings(**wrong)


def test_a_child_of_equal_parents_differs_only_where_it_was_mutated():
    synthetic = additive_problem(9)
    space = synthetic.problem.space
    parents = space.sample(np.random.default_rng(0), 200)
    operators = Operators.standard(budgeted=False)
    rng = np.random.default_rng(1)
    faithful = EvolutionSettings(crossover=1.0, mutation=0.0)
    assert (bred(parents, parents, operators, faithful, Genes.of(space), rng) == parents).all()
    restless = EvolutionSettings(crossover=0.0)
    changed = bred(parents, parents, operators, restless, Genes.of(space), rng) != parents
    assert changed.any(axis=1).mean() > 0.8


def test_breeding_begins_after_the_start():
    synthetic = additive_problem(9)
    opening = {}
    for start in (8, 16):
        strategy = Evolutionary(synthetic.problem, settings=EvolutionSettings(start=start))
        opening[start] = run_strategy(strategy, synthetic, 24)
    assert opening[8][:8] == opening[16][:8]
    assert opening[8][8:16] != opening[16][8:16]


def told(synthetic, predict):
    """Return what a third round proposes when an objective beyond the synthetic two is measured as well."""
    problem = synthetic.problem
    objectives = (*problem.objectives, Objective("memory_bytes"))
    strategy = Evolutionary(
        replace(problem, objectives=objectives, predict=predict), settings=EvolutionSettings(population=8)
    )
    for first in range(3):
        asked = strategy.ask(8)
        strategy.tell(
            [
                replace(t, measurement=t.measurement.merged(Measurement({"memory_bytes": Metric(5.0, "B")})))
                for t in synthetic.trials(asked, first=8 * first)
            ]
        )
    return strategy.ask(8)


def test_an_objective_that_nothing_predicts_does_not_take_part_in_screening():
    synthetic = additive_problem(12, seed=3)

    def beside(column):
        return lambda codes: np.column_stack([synthetic.truth(codes), np.full(len(codes), column)])

    # A constant column orders nothing either, so unknown and constant must screen alike, and unlike no truth.
    assert told(synthetic, beside(np.nan)) == told(synthetic, beside(5.0))
    assert told(synthetic, beside(np.nan)) != told(synthetic, None)
