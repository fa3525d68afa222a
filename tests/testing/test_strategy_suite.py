"""The suite itself must fail on strategies that break the contract."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from automl.core.errors import SpaceError
from automl.strategies.base import StrategyInfo
from automl.strategies.random_search import RandomSearch
from automl.testing.problems import additive_problem
from automl.testing.strategy_suite import StrategySuite
from automl.testing.strategy_suite import run_strategy


def suite_of(strategy_class):
    class Suite(StrategySuite):
        def make(self, problem):
            return strategy_class(problem)

    return Suite()


class Repeating(RandomSearch):
    def ask(self, count):
        return super().ask(1) * min(count, 2)


class Unseeded(RandomSearch):
    def __init__(self, problem):
        super().__init__(problem)
        self._rng = np.random.default_rng()


class Forgetful(RandomSearch):
    def load_state_dict(self, state):
        super().load_state_dict({**state, "rng": self.state_dict()["rng"]})


class Greedy(RandomSearch):
    def ask(self, count):
        return super().ask(count + 1)


class Fragile(RandomSearch):
    def tell(self, trials):
        assert all(t.measurement for t in trials)


class Credulous(RandomSearch):
    def load_state_dict(self, state):
        return


class Stray(RandomSearch):
    def ask(self, count):
        return [additive_problem(3).problem.space.default] * min(count, 1)


class Nameless(RandomSearch):
    info: ClassVar[StrategyInfo] = StrategyInfo(name="", summary="")


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (Repeating, "test_stays_in_the_space_without_repeats"),
        (Unseeded, "test_same_seed_same_proposals"),
        (Forgetful, "test_resume_equals_no_interruption"),
        (Greedy, "test_ask_returns_at_most_what_was_asked_for"),
        (Fragile, "test_failed_trials_are_survived_and_not_proposed_again"),
        (Credulous, "test_foreign_state_is_refused"),
        (Stray, "test_stays_in_the_space_without_repeats"),
        (Nameless, "test_describes_itself"),
    ],
)
def test_suite_catches(broken, check):
    with pytest.raises((AssertionError, SpaceError)):
        getattr(suite_of(broken), check)()


def test_run_strategy_stops_when_nothing_is_left():
    synthetic = additive_problem(2, 2)
    assert len(run_strategy(RandomSearch(synthetic.problem), synthetic, 50)) == 3


def test_run_strategy_spends_exactly_what_it_is_given():
    synthetic = additive_problem(9)
    assert len(run_strategy(RandomSearch(synthetic.problem), synthetic, 21, batch=8)) == 21
