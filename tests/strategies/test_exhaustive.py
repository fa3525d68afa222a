from __future__ import annotations

import numpy as np
import pytest

from automl.core.errors import StrategyError
from automl.strategies.exhaustive import LARGEST
from automl.strategies.exhaustive import Exhaustive
from automl.strategies.operators.sampling import enumerate_codes
from automl.strategies.table import strategy_class
from automl.testing.problems import additive_problem
from automl.testing.problems import conditional_problem
from automl.testing.strategy_suite import StrategySuite
from automl.testing.strategy_suite import run_strategy


class TestExhaustive(StrategySuite):
    def make(self, problem):
        return Exhaustive(problem)

    def test_two_thousand_dimensions(self):
        """A space that cannot be enumerated is refused."""
        with pytest.raises(StrategyError, match=r"10\^954 candidates, and at most 1,000,000 are allowed"):
            self.make(additive_problem(2000, 3).problem)


@pytest.mark.parametrize("synthetic", [additive_problem(5, 3), conditional_problem()])
def test_every_member_but_the_untouched_model_comes_once(synthetic):
    space = synthetic.problem.space
    proposed = run_strategy(Exhaustive(synthetic.problem), synthetic, 10**6, batch=100)
    members = enumerate_codes(space)
    assert len(proposed) == len(members) - 1
    assert np.array_equal(np.unique(space.encode([*proposed, space.default]), axis=0), members)


def test_the_order_depends_neither_on_the_batch_nor_on_the_seed():
    runs = [
        run_strategy(Exhaustive(additive_problem(5, 3, seed=s).problem), additive_problem(5, 3), 200, batch=b)
        for s, b in ((0, 1), (7, 64))
    ]
    assert runs[0] == runs[1]


def test_neighbours_in_the_order_differ_by_one_step():
    synthetic = additive_problem(5, 3)
    codes = synthetic.problem.space.encode(run_strategy(Exhaustive(synthetic.problem), synthetic, 242))
    assert (np.abs(np.diff(codes, axis=0)).sum(axis=1) == 1).all()


def test_the_largest_space_is_accepted_and_one_more_is_not():
    assert LARGEST == 10**6
    assert Exhaustive(additive_problem(6, 10).problem).ask(1)
    with pytest.raises(StrategyError, match="exhaustive"):
        Exhaustive(additive_problem(20, 2).problem)


def test_it_is_also_called_grid():
    assert strategy_class("grid") is Exhaustive
