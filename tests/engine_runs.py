"""Searches on the simulated target, and the pieces that tests of the engine put in place of real ones."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from automl.core.budget import parse_budgets
from automl.core.outcome import StopRule
from automl.engine import SearchRun
from automl.engine import run_search
from automl.execution.local_executor import InlineExecutor
from automl.strategies.base import Problem
from automl.strategies.table import make_strategy
from automl.testing.simulated_target import OBJECTIVES
from automl.testing.simulated_target import SimulatedTarget
from automl.testing.simulated_target import build_target
from automl.testing.simulated_target import simulate

TARGET = SimulatedTarget(layers=10, seed=1, noise=0.02, failing=0.1)
BUDGETS = parse_budgets(["latency=0.8x"])


class Memory:
    """A ledger in memory."""

    def __init__(self, trials=()):
        self.kept = list(trials)

    def record(self, trial):
        assert trial.number == len(self.kept)
        self.kept.append(trial)

    def trials(self):
        return list(self.kept)


def executor_for(target=TARGET, executor=None):
    executor = executor or InlineExecutor()
    executor.start(partial(build_target, target.layers, target.seed, target.noise, target.failing), simulate)
    return executor


def evolutionary(budgets, name="evolutionary", seed=5):
    return make_strategy(name, Problem(TARGET.space, OBJECTIVES, budgets, seed))


def search(ledger=None, executor=None, **changes):
    executor = executor_for(executor=executor)
    settings = {"budgets": BUDGETS, "stop": StopRule(trials=60), **changes}
    make = settings.pop("make_strategy", evolutionary)
    try:
        return run_search(
            SearchRun(make, executor, ledger or Memory(), OBJECTIVES, TARGET.space.default, **settings)
        )
    finally:
        executor.close()


def identities(trials):
    return [replace(t, seconds=0.0) for t in trials]


class Scripted:
    """A strategy that proposes what it is given, batch by batch, and remembers what it is told."""

    def __init__(self, batches):
        self.info = replace(make_strategy("random", Problem(TARGET.space, OBJECTIVES)).info, name="scripted")
        self.batches = [list(b) for b in batches]
        self.told = []

    def ask(self, count):
        return self.batches.pop(0) if self.batches else []

    def tell(self, trials):
        self.told.append([t.number for t in trials])


def candidates(count, target=TARGET):
    codes = np.array([[(i // 3**j) % 3 for j in range(target.layers)] for i in range(1, 400)])
    good = [c for c in map(target.space.decode, codes) if target._uniform(c, "failing") >= target.failing]
    return good[:count]
