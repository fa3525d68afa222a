from __future__ import annotations

import pytest

from automl.core.candidate import Candidate
from automl.core.errors import StrategyError
from automl.core.trial import Fidelity
from automl.strategies.base import MultiFidelity
from automl.strategies.controller import Controller
from automl.strategies.evolutionary import Evolutionary
from automl.strategies.halving import Halving
from automl.strategies.middleware import LegalOnly
from automl.strategies.middleware import checked
from automl.strategies.random_search import RandomSearch
from automl.testing.problems import additive_problem
from automl.testing.strategy_suite import StrategySuite
from automl.testing.strategy_suite import run_strategy


class TestLegalOnly(StrategySuite):
    """Around a strategy, with a rule that forbids the third option of the first decision."""

    def make(self, problem):
        return LegalOnly(Evolutionary(problem), problem, legal=lambda codes: codes[:, 0] != 2)


def test_without_a_rule_nothing_changes():
    synthetic = additive_problem(9)
    wrapped = LegalOnly(Evolutionary(synthetic.problem), synthetic.problem)
    assert run_strategy(wrapped, synthetic, 120) == run_strategy(
        Evolutionary(synthetic.problem), synthetic, 120
    )
    assert wrapped.info is Evolutionary.info


def test_what_the_rule_refuses_is_replaced_and_told_as_failed():
    synthetic = additive_problem(3, 3)
    told = []

    class Watched(RandomSearch):
        def tell(self, trials):
            told.extend(trials)
            super().tell(trials)

    wrapped = LegalOnly(Watched(synthetic.problem), synthetic.problem, legal=lambda codes: codes[:, 0] != 2)
    proposed = run_strategy(wrapped, synthetic, 40)
    assert len(proposed) == 2 * 9 - 1
    assert all(c["level:site0000"] != 2 for c in proposed)
    refused = {t.candidate for t in told if t.failure}
    assert len(refused) == 9
    assert {t.failure for t in told if t.failure} == {"refused before it was evaluated"}


def test_a_rule_that_refuses_everything_ends_the_search():
    synthetic = additive_problem(9)
    wrapped = LegalOnly(
        RandomSearch(synthetic.problem), synthetic.problem, legal=lambda codes: codes[:, 0] > 9
    )
    assert wrapped.ask(4) == []


def test_a_strategy_that_leaves_the_space_is_named():
    synthetic = additive_problem(3)

    class Astray(RandomSearch):
        def ask(self, count):
            return [Candidate.of({"level:site0000": 7, "level:site0001": 0, "level:site0002": 0})]

    wrapped = LegalOnly(Astray(synthetic.problem), synthetic.problem)
    with pytest.raises(
        StrategyError, match=r"strategy random left the search space.*level:site0000.*mend its ask"
    ):
        wrapped.ask(1)


def test_the_choice_of_fidelities_is_kept():
    problem = additive_problem(9).problem
    assert not isinstance(checked(RandomSearch(problem), problem), MultiFidelity)
    wrapped = checked(Halving(problem), problem)
    assert isinstance(wrapped, MultiFidelity)
    assert {wrapped.fidelity(c) for c in wrapped.ask(4)} == {Fidelity.SUBSET}


def test_what_the_strategy_inside_learned_is_shown():
    problem = additive_problem(9).problem
    assert LegalOnly(RandomSearch(problem), problem).curves == ()
    synthetic, inner = additive_problem(9), Controller(problem)
    wrapped = LegalOnly(inner, problem)
    run_strategy(wrapped, synthetic, 40)
    assert wrapped.curves == inner.curves != ()
