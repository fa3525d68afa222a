from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from automl.core.budget import Budget
from automl.core.errors import StrategyError
from automl.strategies.base import AdditiveTables
from automl.strategies.ddpg import Ddpg
from automl.strategies.ddpg import DdpgSettings
from automl.strategies.ddpg import truncated_normal
from automl.strategies.random_search import RandomSearch
from automl.testing.problems import additive_problem
from automl.testing.problems import conditional_problem
from automl.testing.problems import integer_space
from automl.testing.problems import table_problem
from automl.testing.strategy_suite import StrategySuite
from automl.testing.strategy_suite import run_strategy

SMALL = DdpgSettings(hidden=16, updates=1)


class TestDdpg(StrategySuite):
    def make(self, problem):
        return Ddpg(problem, settings=SMALL)


class TestDdpgWithoutPrices(StrategySuite):
    """The same contract where no wall keeps the budget."""

    def make(self, problem):
        return Ddpg(replace(problem, tables=None), settings=SMALL)


def prices_within(synthetic, proposed):
    limit = synthetic.problem.budgets[0].limit
    return [m["size_bytes"].value <= limit * (1 + 1e-9) for m in synthetic.measure(proposed)]


def best_feasible(synthetic, proposed):
    within = prices_within(synthetic, proposed)
    return min(m["kl"].value for m, ok in zip(synthetic.measure(proposed), within, strict=True) if ok)


@pytest.mark.parametrize("fraction", [0.1, 0.4])
@pytest.mark.parametrize("pairs", [False, True])
def test_no_price_is_ever_beyond_the_budget(pairs, fraction):
    synthetic = additive_problem(9, pairs=pairs, fraction=fraction)
    proposed = run_strategy(Ddpg(synthetic.problem, settings=SMALL), synthetic, 120)
    assert len(proposed) > 5
    assert all(prices_within(synthetic, proposed))


def test_conditions_are_within_the_wall_too():
    synthetic = conditional_problem()
    proposed = run_strategy(Ddpg(synthetic.problem, settings=SMALL), synthetic, 120)
    assert all(prices_within(synthetic, proposed))


def test_two_priced_budgets_hold_together():
    rng = np.random.default_rng(0)
    unary = {m: tuple(rng.random((8, 4))) for m in ("kl", "size_bytes", "latency_ms")}
    tables = AdditiveTables(unary)
    space = integer_space([4] * 8)
    drawn = space.sample(rng, 4000)
    prices = {m: tables.predict(m, drawn) for m in ("size_bytes", "latency_ms")}
    both = np.argmin(np.maximum(prices["size_bytes"], prices["latency_ms"]))
    limits = {m: float(v[both]) for m, v in prices.items()}
    synthetic = table_problem(space, tables)
    budgets = tuple(Budget(m, m, limit) for m, limit in limits.items())
    proposed = Ddpg(replace(synthetic.problem, budgets=budgets), settings=SMALL).ask(12)
    assert proposed
    codes = space.encode(proposed)
    for metric, limit in limits.items():
        assert (tables.predict(metric, codes) <= limit * (1 + 1e-9)).all()


def test_seeds_beyond_the_wall_are_left_out():
    synthetic = additive_problem(9, fraction=0.3)
    space = synthetic.problem.space
    dear, cheap = space.uniform("level", 0), space.uniform("level", 2)
    other = space.with_options({"level:site0003": 1})
    strategy = Ddpg(replace(synthetic.problem, seeds=(other, cheap, dear)), settings=SMALL)
    proposed = strategy.ask(10)
    assert proposed[0] == cheap
    assert other not in proposed


def test_a_small_space_is_exhausted_within_the_wall():
    synthetic = additive_problem(3, 4, fraction=0.4)
    proposed = run_strategy(Ddpg(synthetic.problem, settings=SMALL), synthetic, 200)
    every = synthetic.problem.tables.predict("size_bytes", np.indices((4, 4, 4)).reshape(3, -1).T)
    assert len(proposed) == int((every <= synthetic.problem.budgets[0].limit).sum())


def test_an_impossible_budget_puts_up_no_wall():
    synthetic = additive_problem(9, fraction=-1.0)
    proposed = run_strategy(Ddpg(synthetic.problem, settings=SMALL), synthetic, 40)
    assert len(proposed) == 40
    assert not any(prices_within(synthetic, proposed))


@pytest.mark.parametrize("give_tables", [True, False])
def test_beats_five_times_as_many_random_ones_at_a_budget(give_tables):
    ratios = []
    for seed in (4, 5, 6):
        synthetic = additive_problem(20, 3, seed=seed, give_tables=give_tables)
        learned = run_strategy(Ddpg(synthetic.problem), synthetic, 400)
        drawn = run_strategy(RandomSearch(synthetic.problem), synthetic, 2000)
        ratios.append(best_feasible(synthetic, learned) / best_feasible(synthetic, drawn))
    assert np.mean(ratios) < 0.85


def test_learns_from_trials_it_did_not_propose():
    synthetic = additive_problem(9)
    strategy, other = (Ddpg(synthetic.problem, settings=SMALL) for _ in range(2))
    foreign = RandomSearch(replace(synthetic.problem, seed=7)).ask(40)
    strategy.tell(synthetic.trials(foreign, 100))
    assert len(strategy.state_dict()["codes"]) == 40
    for one in (strategy, other):
        one.tell(synthetic.trials(one.ask(24), 1))
    assert strategy.state_dict()["agent"] != other.state_dict()["agent"]


def test_replay_is_bounded():
    synthetic = additive_problem(9)
    strategy = Ddpg(synthetic.problem, settings=replace(SMALL, replay=16))
    run_strategy(strategy, synthetic, 40)
    assert len(strategy.state_dict()["codes"]) == 16


def test_noise_is_cut_off_at_the_ends_and_centred_between():
    uniforms = np.random.default_rng(0).random(4000)
    for mean in (0.0, 0.5, 1.0):
        drawn = truncated_normal(
            np.full(4000, mean, dtype=np.float32), np.full(4000, 0.1, np.float32), uniforms
        )
        assert drawn.min() >= 0.0
        assert drawn.max() <= 1.0
        expected = mean + {0.0: 1, 0.5: 0, 1.0: -1}[mean] * 0.1 * np.sqrt(2 / np.pi)
        assert drawn.mean() == pytest.approx(expected, abs=0.01)


def test_a_relative_budget_is_refused():
    problem = additive_problem(4).problem
    budget = replace(problem.budgets[0], relative=True)
    with pytest.raises(StrategyError, match="relative"):
        Ddpg(replace(problem, budgets=(budget,)))


@pytest.mark.parametrize(
    "wrong",
    [{"hidden": 0}, {"updates": -1}, {"decay": 0.0}, {"least": 0.9}, {"replay": 0}, {"noise": 0.0}],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(StrategyError):
        DdpgSettings(**wrong)


def test_the_curve_shows_the_noise_that_was_set_and_the_reward_of_what_came_back():
    synthetic = additive_problem(20, 3, seed=4)
    strategy = Ddpg(synthetic.problem, settings=DdpgSettings(hidden=16, warm_up=16, noise=0.4, decay=0.9))
    assert strategy.curves == ()
    run_strategy(strategy, synthetic, 80)
    (curve,) = strategy.curves
    assert curve.steps == tuple(range(8, 81, 8))
    noise, reward = (np.array(s.values) for s in curve.series)
    np.testing.assert_allclose(
        noise, np.maximum(0.4 * 0.9 ** np.maximum(np.array(curve.steps) - 16, 0), 0.02)
    )
    # the first generation is the one that the scale is taken from; what exceeds the budget is below its mean
    assert reward[0] <= 1e-9
