from __future__ import annotations

import json
from dataclasses import replace

import pytest

from automl.core.errors import StrategyError
from automl.core.trial import Fidelity
from automl.strategies import table
from automl.strategies.base import MultiFidelity
from automl.strategies.halving import Halving
from automl.strategies.halving import HalvingSettings
from automl.testing.problems import additive_problem
from automl.testing.strategy_suite import StrategySuite


class TestHalving(StrategySuite):
    """The contract where the caller knows no fidelities and measures everything whole."""

    def make(self, problem):
        return Halving(problem)


class TestHalvingOfRandom(StrategySuite):
    def make(self, problem):
        return table.make_strategy("halving:random", problem)


def play(strategy, synthetic, rounds, *, fails=lambda number: False, first=1):
    """Ask and tell generations of 8 at the fidelity asked for; return (candidate, fidelity) in order."""
    played = []
    for _ in range(rounds):
        asked = strategy.ask(8)
        trials = []
        for candidate in asked:
            number = first + len(played)
            played.append((candidate, strategy.fidelity(candidate)))
            make = synthetic.failed if fails(number) else synthetic.trials
            trials.append(replace(make([candidate], number)[0], fidelity=played[-1][1]))
        strategy.tell(trials)
    return played


def digests(played, fidelity):
    return [c.digest for c, f in played if f is fidelity]


def test_it_says_how_much_to_spend():
    assert isinstance(Halving(additive_problem(4).problem), MultiFidelity)


def test_a_third_of_the_subset_goes_on_and_nobody_is_asked_twice_alike():
    synthetic = additive_problem(12, seed=1)
    played = play(Halving(synthetic.problem), synthetic, 20)
    cheap, whole = digests(played, Fidelity.SUBSET), digests(played, Fidelity.FULL)
    assert len(set(played)) == len(played)
    assert set(whole) <= set(cheap)
    assert len(cheap) // 4 <= len(whole) <= len(cheap) // 3


def test_the_best_go_on():
    synthetic = additive_problem(12, seed=1)
    strategy = table.make_strategy("halving:random", synthetic.problem)
    played = play(strategy, synthetic, 20)
    space, limit = synthetic.problem.space, synthetic.problem.budgets[0].limit
    values = {c.digest: synthetic.truth(space.encode([c]))[0] for c, _ in played}
    whole = set(digests(played, Fidelity.FULL))
    left = [d for d in digests(played, Fidelity.SUBSET) if d not in whole]
    violation = {d: max(float(v[1]) - limit, 0.0) for d, v in values.items()}
    mean = [sum(violation[d] for d in group) / len(group) for group in (whole, left)]
    assert mean[0] < 0.5 * mean[1]


def test_what_failed_does_not_go_on():
    synthetic = additive_problem(9)
    played = play(Halving(synthetic.problem), synthetic, 16, fails=lambda number: number % 2 == 0)
    failed = {c.digest for i, (c, f) in enumerate(played) if (i + 1) % 2 == 0 and f is Fidelity.SUBSET}
    assert not failed & set(digests(played, Fidelity.FULL))
    assert len(set(played)) == len(played)


def test_when_nobody_new_comes_the_rest_goes_on_best_first():
    synthetic = additive_problem(3, 3, fraction=None)
    strategy = table.make_strategy("halving:random", synthetic.problem)
    played = play(strategy, synthetic, 12)
    assert sorted(digests(played, Fidelity.SUBSET)) == sorted(digests(played, Fidelity.FULL))
    assert len(played) == 2 * 26
    assert strategy.ask(8) == []


def test_resume_equals_no_interruption_at_both_fidelities():
    synthetic = additive_problem(9, seed=2)
    whole = play(Halving(synthetic.problem), synthetic, 12)
    first, second = Halving(synthetic.problem), Halving(synthetic.problem)
    head = play(first, synthetic, 5)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert head + play(second, synthetic, 7, first=1 + len(head)) == whole


def test_fidelities_in_flight_are_in_the_state():
    synthetic = additive_problem(9, seed=2)
    first, second = Halving(synthetic.problem), Halving(synthetic.problem)
    play(first, synthetic, 5)
    asked = first.ask(8)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert [first.fidelity(c) for c in asked] == [second.fidelity(c) for c in asked]
    assert {Fidelity.SUBSET, Fidelity.FULL} == {first.fidelity(c) for c in asked}


def test_a_candidate_measured_whole_elsewhere_does_not_go_on():
    synthetic = additive_problem(9)
    strategy = Halving(synthetic.problem)
    asked = strategy.ask(8)
    strategy.tell([replace(t, fidelity=Fidelity.SUBSET) for t in synthetic.trials(asked)])
    strategy.tell(synthetic.trials(asked, 100))
    assert not set(strategy.ask(8)) & set(asked)


def test_variants_wrap_another_strategy_and_say_so():
    found = table.strategy_class("halving:exact")
    assert found.info.name == "halving:exact"
    assert found.info.needs_tables
    with pytest.raises(StrategyError, match="halves nothing more"):
        table.strategy_class("halving:halving")
    with pytest.raises(StrategyError, match="unknown strategy"):
        table.strategy_class("halving:nobody")


def test_keeping_everybody_is_refused():
    with pytest.raises(StrategyError, match="nobody out"):
        HalvingSettings(keep=1)


def test_remarks_count_both_fidelities():
    synthetic = additive_problem(9, seed=2)
    strategy = Halving(synthetic.problem)
    played = play(strategy, synthetic, 8)
    cheap, whole = len(digests(played, Fidelity.SUBSET)), len(digests(played, Fidelity.FULL))
    assert strategy.remarks == (f"halving: {cheap} measured on a subset, {whole} of them on the whole",)


def test_what_the_inner_strategy_learned_is_shown():
    synthetic = additive_problem(9, seed=2)
    strategy = table.strategy_class("halving:reinforce")(synthetic.problem)
    play(strategy, synthetic, 8)
    assert [c.title for c in strategy.curves] == ["policy of reinforce"]
    assert Halving(synthetic.problem).curves == ()
