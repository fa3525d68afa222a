"""The conformance suite of strategies: subclass it, name the strategy, and pytest runs the contract.

class TestMine(StrategySuite):
    def make(self, problem):
        return Mine(problem)
"""

from __future__ import annotations

import json
from abc import ABC
from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from automl.core.errors import StrategyError
from automl.strategies.base import Learning
from automl.strategies.base import Strategy
from automl.strategies.base import StrategyInfo
from automl.testing.problems import additive_problem
from automl.testing.problems import conditional_problem
from automl.testing.problems import constant_problem

if TYPE_CHECKING:
    from automl.core.candidate import Candidate
    from automl.searchspaces.space import SearchSpace
    from automl.strategies.base import Problem
    from automl.testing.problems import SyntheticProblem

__all__ = ["StrategySuite", "run_strategy"]


def run_strategy(
    strategy: Strategy, synthetic: SyntheticProblem, evaluations: int, *, batch: int = 8, first: int = 1
) -> list[Candidate]:
    """Ask, evaluate and tell until ``evaluations`` candidates came or the strategy has no more.

    Returns:
        Every proposed candidate, in order.
    """
    proposed: list[Candidate] = []
    while len(proposed) < evaluations:
        candidates = strategy.ask(min(batch, evaluations - len(proposed)))
        if not candidates:
            break
        strategy.tell(synthetic.trials(candidates, first + len(proposed)))
        proposed += candidates
    return proposed


class StrategySuite(ABC):
    """What every strategy must do; subclasses define :meth:`make`."""

    #: Evaluations a check spends; raise it for strategies that learn late.
    evaluations = 120

    @abstractmethod
    def make(self, problem: Problem) -> Strategy:
        """Return a new strategy for ``problem``."""

    def check_members(self, space: SearchSpace, candidates: list[Candidate]) -> None:
        """Assert that every candidate is a repaired member of ``space`` and none is repeated."""
        for candidate in candidates:
            space.validate(candidate)
        assert len(set(candidates)) == len(candidates), "a candidate was proposed twice"
        assert space.default not in candidates, "the untouched model is trial 0 and must not be proposed"

    def test_describes_itself(self) -> None:
        """``info`` is complete and the object is a Strategy."""
        strategy = self.make(additive_problem(4).problem)
        assert isinstance(strategy, Strategy)
        assert isinstance(strategy.info, StrategyInfo)
        assert strategy.info.name
        assert strategy.info.summary

    def test_stays_in_the_space_without_repeats(self) -> None:
        """Plain, coupled and conditional spaces are never left and nothing is proposed twice."""
        for synthetic in (additive_problem(9), additive_problem(9, pairs=True), conditional_problem()):
            proposed = run_strategy(self.make(synthetic.problem), synthetic, self.evaluations)
            assert len(proposed) >= 5
            self.check_members(synthetic.problem.space, proposed)

    def test_ask_returns_at_most_what_was_asked_for(self) -> None:
        """Any count may be asked, before and between tells; zero asks for nothing."""
        synthetic = additive_problem(9)
        strategy = self.make(synthetic.problem)
        assert strategy.ask(0) == []
        proposed = []
        for number, count in enumerate([1, 7, 2, 64, 1, 0, 3]):
            candidates = strategy.ask(count)
            assert len(candidates) <= count
            proposed += candidates
            if number % 2:
                strategy.tell(synthetic.trials(candidates, 1 + len(proposed)))
        self.check_members(synthetic.problem.space, proposed)

    def test_same_seed_same_proposals(self) -> None:
        """Two strategies on one problem propose the same."""
        runs = []
        for _ in range(2):
            synthetic = additive_problem(9, seed=5)
            runs.append(run_strategy(self.make(synthetic.problem), synthetic, self.evaluations))
        assert runs[0] == runs[1]

    def test_ask_does_not_touch_the_global_generator(self) -> None:
        """Randomness comes from the problem's seed alone."""
        synthetic = additive_problem(9)
        before = np.random.get_state(legacy=False)  # noqa: NPY002 - the check is that nobody uses it
        run_strategy(self.make(synthetic.problem), synthetic, 40)
        after = np.random.get_state(legacy=False)  # noqa: NPY002
        assert isinstance(before, dict)
        assert isinstance(after, dict)
        assert np.array_equal(before["state"]["key"], after["state"]["key"])
        assert before["state"]["pos"] == after["state"]["pos"]

    def test_failed_trials_are_survived_and_not_proposed_again(self) -> None:
        """Every second trial fails; the search goes on."""
        synthetic = additive_problem(9)
        strategy = self.make(synthetic.problem)
        proposed: list[Candidate] = []
        for _ in range(12):
            candidates = strategy.ask(6)
            number = 1 + len(proposed)
            strategy.tell(synthetic.failed(candidates[::2], number))
            strategy.tell(synthetic.trials(candidates[1::2], number + 3))
            proposed += candidates
        assert len(proposed) >= 12
        self.check_members(synthetic.problem.space, proposed)

    def test_only_failures_are_survived(self) -> None:
        """A run in which nothing ever completes still proposes members."""
        synthetic = additive_problem(9)
        strategy = self.make(synthetic.problem)
        proposed: list[Candidate] = []
        for _ in range(5):
            candidates = strategy.ask(6)
            strategy.tell(synthetic.failed(candidates, 1 + len(proposed)))
            proposed += candidates
        assert proposed
        self.check_members(synthetic.problem.space, proposed)

    def test_late_and_foreign_trials_are_welcome(self) -> None:
        """Trials come in reverse, batches late; trial 0 and candidates from elsewhere are told too."""
        synthetic = additive_problem(9)
        space = synthetic.problem.space
        strategy = self.make(synthetic.problem)
        foreign = [space.decode(row) for row in space.sample(np.random.default_rng(3), 5)]
        strategy.tell(synthetic.trials([space.default]))
        waiting = [strategy.ask(4)]
        proposed = list(waiting[0])
        strategy.tell(synthetic.trials(foreign, 100))
        fresh: list[Candidate] = []
        for _ in range(8):
            waiting.append(strategy.ask(4))
            fresh += waiting[-1]
            late = waiting.pop(0)
            strategy.tell(synthetic.trials(late[::-1], 1 + len(proposed)))
        proposed += fresh
        self.check_members(space, proposed)
        assert not set(fresh) & set(foreign), "a candidate that was evaluated elsewhere was proposed again"

    def test_resume_equals_no_interruption(self) -> None:
        """Saved through JSON after any tell and restored into a new object, the proposals are the same."""
        synthetic = additive_problem(9, seed=2)
        whole = run_strategy(self.make(synthetic.problem), synthetic, self.evaluations)
        for stop in (0, 8, self.evaluations // 2 // 8 * 8):
            first = self.make(synthetic.problem)
            head = run_strategy(first, synthetic, stop)
            saved = json.dumps(first.state_dict())
            second = self.make(synthetic.problem)
            second.load_state_dict(json.loads(saved))
            assert json.dumps(second.state_dict()) == saved
            if isinstance(first, Learning):
                assert isinstance(second, Learning)
                assert second.curves == first.curves
            tail = run_strategy(second, synthetic, self.evaluations - stop, first=1 + len(head))
            assert head + tail == whole

    def test_resume_with_trials_in_flight(self) -> None:
        """A state saved between ask and tell loses nothing."""
        synthetic = additive_problem(9, seed=2)
        first, second = self.make(synthetic.problem), self.make(synthetic.problem)
        run_strategy(first, synthetic, 40)
        flying = first.ask(5)
        second.load_state_dict(json.loads(json.dumps(first.state_dict())))
        for strategy in (first, second):
            strategy.tell(synthetic.trials(flying, 41))
        assert first.ask(8) == second.ask(8)

    def test_foreign_state_is_refused(self) -> None:
        """State of another space or strategy raises StrategyError."""
        strategy = self.make(additive_problem(9).problem)
        other = self.make(additive_problem(8).problem)
        for state in (other.state_dict(), {**strategy.state_dict(), "strategy": "something else"}):
            try:
                strategy.load_state_dict(state)
            except StrategyError:
                continue
            raise AssertionError("state of another space or strategy was accepted")

    def test_one_dimension(self) -> None:
        """A space of one dimension is exhausted without repeats."""
        synthetic = additive_problem(1, 5, fraction=0.5)
        proposed = run_strategy(self.make(synthetic.problem), synthetic, 20)
        assert 1 <= len(proposed) <= 4
        self.check_members(synthetic.problem.space, proposed)

    def test_one_option(self) -> None:
        """Where nothing can be chosen nothing is proposed."""
        synthetic = additive_problem(4, 1, fraction=None)
        assert run_strategy(self.make(synthetic.problem), synthetic, 20) == []

    def test_no_candidate_meets_the_budget(self) -> None:
        """With an impossible budget the search still proposes members."""
        synthetic = additive_problem(9, fraction=-1.0)
        proposed = run_strategy(self.make(synthetic.problem), synthetic, 60)
        assert proposed
        self.check_members(synthetic.problem.space, proposed)

    def test_constant_objectives(self) -> None:
        """Where every candidate measures the same nothing divides by zero."""
        synthetic = constant_problem()
        proposed = run_strategy(self.make(synthetic.problem), synthetic, 60)
        assert proposed
        self.check_members(synthetic.problem.space, proposed)

    def test_two_thousand_dimensions(self) -> None:
        """A large space works."""
        synthetic = additive_problem(2000, 3)
        strategy = self.make(synthetic.problem)
        proposed = run_strategy(strategy, synthetic, 12, batch=6)
        assert 6 <= len(proposed) <= 12
        self.check_members(synthetic.problem.space, proposed)
        json.dumps(strategy.state_dict())
