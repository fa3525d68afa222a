from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from automl.core.errors import StrategyError
from automl.core.indicators import hypervolume
from automl.strategies.portfolio import Portfolio
from automl.strategies.portfolio import PortfolioSettings
from automl.strategies.random_search import RandomSearch
from automl.testing.problems import additive_problem
from automl.testing.strategy_suite import StrategySuite
from automl.testing.strategy_suite import run_strategy

LIGHT = PortfolioSettings(members=("evolutionary", "local", "random"))


class TestPortfolio(StrategySuite):
    """The members of choice together."""

    evaluations = 64

    def make(self, problem):
        return Portfolio(problem)


class TestPortfolioWithRetirement(StrategySuite):
    def make(self, problem):
        return Portfolio(
            problem, settings=PortfolioSettings(members=("optuna:qmc", "evolutionary"), until=40)
        )


def proposed_by(strategy):
    return {row["member"]: row["proposed"] for row in strategy.report}


def timed(trials, seconds):
    return [replace(trial, seconds=seconds(trial)) for trial in trials]


def test_seeds_come_first_and_once():
    synthetic = additive_problem(6)
    seeds = tuple(synthetic.problem.space.uniform("level", level) for level in (2, 1))
    strategy = Portfolio(replace(synthetic.problem, seeds=seeds), settings=LIGHT)
    proposed = run_strategy(strategy, synthetic, 40)
    assert tuple(proposed[:2]) == seeds
    assert sum(proposed_by(strategy).values()) == 38


def test_the_member_that_finds_most_proposes_most():
    counts = Counter()
    for seed in (1, 2, 3):
        synthetic = additive_problem(24, 3, fraction=None, seed=seed)
        priced = replace(synthetic.problem, predict=synthetic.truth)
        strategy = Portfolio(priced, settings=PortfolioSettings(members=("evolutionary", "random")))
        run_strategy(strategy, synthetic, 400)
        counts.update(proposed_by(strategy))
    assert counts["evolutionary"] > 2 * counts["random"]
    assert counts["random"] >= 0.125 * 0.5 * 1200


def test_it_beats_random_and_every_member_takes_part():
    synthetic = additive_problem(20, 3, fraction=None, seed=3)
    strategy = Portfolio(synthetic.problem)
    raced = synthetic.truth(synthetic.problem.space.encode(run_strategy(strategy, synthetic, 200)))
    drawn = synthetic.truth(
        synthetic.problem.space.encode(run_strategy(RandomSearch(synthetic.problem), synthetic, 1000))
    )
    worst = np.concatenate([raced, drawn]).max(axis=0)
    assert hypervolume(raced / worst, np.ones(2)) > hypervolume(drawn / worst, np.ones(2))
    assert min(proposed_by(strategy).values()) > 0


def test_slow_trials_cost_a_member_its_share():
    synthetic = additive_problem(12, 3, fraction=None, seed=1)
    counts = {}
    for slow in (False, True):
        strategy = Portfolio(
            synthetic.problem, settings=PortfolioSettings(members=("evolutionary", "random"))
        )
        for number in range(40):
            candidates = strategy.ask(8)
            owners = {d for d, o in strategy.state_dict()["owners"].items() if o == 0}
            trials = synthetic.trials(candidates, 8 * number + 1)
            late = owners if slow else set()
            strategy.tell(timed(trials, lambda t, late=late: 9.0 if t.candidate.digest in late else 1.0))
        counts[slow] = proposed_by(strategy)["evolutionary"]
    assert counts[True] < 0.8 * counts[False]


def test_noise_of_timing_does_not_change_a_run():
    synthetic = additive_problem(9, seed=2)
    runs = []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        strategy, proposed = Portfolio(synthetic.problem, settings=LIGHT), []
        for _ in range(12):
            candidates = strategy.ask(8)
            strategy.tell(
                timed(synthetic.trials(candidates, 1 + len(proposed)), lambda t, r=rng: r.uniform(0.9, 1.1))
            )
            proposed += candidates
        runs.append(proposed)
    assert runs[0] == runs[1]


def test_every_member_learns_from_every_trial():
    synthetic = additive_problem(9)
    strategy = Portfolio(synthetic.problem, settings=PortfolioSettings(members=("surrogate", "random")))
    run_strategy(strategy, synthetic, 40)
    assert strategy.state_dict()["members"]["surrogate"]["told"] == 40


def test_a_member_that_cannot_serve_is_left_out_with_the_reason():
    problem = replace(additive_problem(6).problem, tables=None)
    strategy = Portfolio(problem, settings=PortfolioSettings(members=("exact", "random")))
    assert len(strategy.ask(4)) == 4
    (left_out,) = [row for row in strategy.report if row["member"] == "exact"]
    assert left_out["share"] == 0.0
    assert "needs additive prices" in left_out["reason"]
    with pytest.raises(StrategyError, match=r"no member.*exact: .*needs additive prices"):
        Portfolio(problem, settings=PortfolioSettings(members=("exact",)))


def test_optuna_retires_and_the_others_go_on():
    synthetic = additive_problem(9)
    settings = PortfolioSettings(members=("optuna:qmc", "random"), until=24)
    strategy = Portfolio(synthetic.problem, settings=settings)
    run_strategy(strategy, synthetic, 24)
    before = proposed_by(strategy)["optuna:qmc"]
    assert before > 0
    run_strategy(strategy, synthetic, 40, first=25)
    assert proposed_by(strategy)["optuna:qmc"] == before
    assert list(strategy.state_dict()["members"]) == ["random"]
    assert strategy.report[0]["reason"] == "retired after 24 trials"


def test_an_exhausted_member_hands_its_slots_on():
    synthetic = additive_problem(9)
    strategy = Portfolio(synthetic.problem, settings=PortfolioSettings(members=("exact", "evolutionary")))
    assert len(run_strategy(strategy, synthetic, 300)) == 300


def test_report_is_in_the_state_as_plain_json():
    synthetic = additive_problem(9)
    strategy = Portfolio(synthetic.problem, settings=LIGHT)
    run_strategy(strategy, synthetic, 40)
    assert json.loads(json.dumps(strategy.state_dict()))["report"] == strategy.report
    assert sum(row["share"] for row in strategy.report) == pytest.approx(1.0)


def test_state_of_other_members_is_refused():
    synthetic = additive_problem(9)
    state = Portfolio(synthetic.problem, settings=LIGHT).state_dict()
    other = Portfolio(synthetic.problem, settings=PortfolioSettings(members=("evolutionary", "random")))
    with pytest.raises(StrategyError, match="has the members evolutionary, local, random"):
        other.load_state_dict(state)


@pytest.mark.parametrize(
    "wrong",
    [
        {"members": ()},
        {"members": ("random", "random")},
        {"members": ("random", "portfolio")},
        {"floor": 0.0},
        {"floor": 1.5},
        {"half_life": 0.0},
        {"until": 0},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(StrategyError):
        PortfolioSettings(**wrong)


def test_remarks_name_who_proposed_who_is_left_out_and_what_members_say():
    synthetic = additive_problem(9)
    problem = replace(synthetic.problem, tables=None)
    strategy = Portfolio(problem, settings=PortfolioSettings(members=("exact", "surrogate", "random")))
    run_strategy(strategy, synthetic, 24)
    counts = proposed_by(strategy)
    first, second, *inner = strategy.remarks
    assert first == f"portfolio's proposals: surrogate {counts['surrogate']}, random {counts['random']}"
    assert second.startswith("portfolio without exact: ")
    assert any(remark.startswith("learned prediction of kl") for remark in inner)


def test_what_its_members_learned_is_shown():
    synthetic = additive_problem(9)
    strategy = Portfolio(
        synthetic.problem, settings=PortfolioSettings(members=("reinforce", "random", "ddpg"))
    )
    run_strategy(strategy, synthetic, 80)
    assert [c.title for c in strategy.curves] == ["policy of reinforce", "agent of ddpg"]
