"""The additive optimum on HAWQ-V3's published inputs, or on a synthetic stand-in where they are absent."""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from automl.strategies.frontier_math import frontier
from automl.strategies.milp_math import solve_milp
from automl.testing.problems import additive_problem


@cache
def study(name="run"):
    """Return a module of experiments/hawq: ``run`` reads the data, ``strategies`` compares all strategies."""
    path = Path(__file__).resolve().parents[2] / "experiments" / "hawq" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"hawq_{name}_study", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@cache
def instances():
    """Return the published problems, or three synthetic ones of 20 layers with the optimum as published."""
    file = study().data_file()
    if file is not None:
        return study().instances(json.loads(file.read_text()))
    found = []
    for seed in range(3):
        problem = additive_problem(20, 2, seed=seed).problem
        unary, limit = dict(problem.tables.unary), problem.budgets[0].limit
        best = solve_milp(problem.tables, "kl", {"size_bytes": limit}).value
        found.append(study().Instance(f"synthetic/{seed}", unary, limit, best, 0.0))
    return found


def test_exact_is_never_worse_than_the_published_answer_and_once_better():
    study().solve_exact(instances()[0])
    start = time.process_time()
    optima = [study().solve_exact(instance) for instance in instances()]
    seconds = time.process_time() - start
    gains = np.array([i.published - optimum for i, optimum in zip(instances(), optima, strict=True)])
    assert (gains >= -1e-9).all()
    better = [i.name for i, gain in zip(instances(), gains, strict=True) if gain > 1e-9]
    if instances()[0].name.startswith("resnet"):
        assert better == ["resnet50/modelsize/0.25"]
        assert len(gains) == 18
    # processor time: a busy machine must not fail this
    assert seconds < 2.0


def test_program_and_frontier_agree():
    for instance in instances():
        front = frontier(instance.unary["kl"], instance.unary["size_bytes"])
        value = front.values[front.best_within(instance.limit)]
        problem = instance.problem(0, give_tables=True).problem
        solution = solve_milp(problem.tables, "kl", {"size_bytes": instance.limit})
        assert solution.status == "optimal"
        assert abs(solution.value - value) < 1e-9


def test_evolution_from_random_candidates_comes_within_a_thousandth():
    for instance in instances()[:3]:
        optimum = study().solve_exact(instance)
        within = optimum + 1e-3 * abs(optimum)
        for seed in (0, 1):
            value, _, spent = study().evolve(instance, seed, 20_000, stop_at=within)
            assert value <= within
            assert spent <= 20_000


def small_instance(layers=6):
    """Return an allocation problem of a few layers and its optimum."""
    problem = additive_problem(layers, 2, seed=1).problem
    instance = study().Instance("small", dict(problem.tables.unary), problem.budgets[0].limit, 0.0, 0.0)
    return instance, study().solve_exact(instance)


def test_a_row_of_the_comparison_has_the_gap_at_every_mark(monkeypatch):
    comparison = study("strategies")
    monkeypatch.setattr(comparison, "MARKS", (8, 40, 1000))
    instance, optimum = small_instance()
    # six layers of two options: 63 candidates, so the space is exhausted and its optimum is known
    row = comparison.run_row("random", instance, optimum, 0, 60.0, False)
    assert row["ended"] == "optimum"
    assert row["spent"] <= 63
    assert row["gaps"]["1000"] == 0.0
    # against an optimum that nothing reaches the run goes on to the end of the space
    row = comparison.run_row("random", instance, -abs(optimum), 0, 60.0, False)
    assert (row["spent"], row["ended"]) == (63, "exhausted")
    gaps = [row["gaps"][m] for m in ("8", "40", "1000")]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] == pytest.approx(2.0)


def test_a_row_that_runs_out_of_time_has_no_later_marks(monkeypatch):
    comparison = study("strategies")
    monkeypatch.setattr(comparison, "MARKS", (1, 500))
    instance, optimum = small_instance(12)
    row = comparison.run_row("random", instance, optimum, 0, 0.0, False)
    assert (row["ended"], list(row["gaps"])) == ("time", ["1"])


def test_gaps_are_summed_up_by_median_and_quartiles():
    percent = study("strategies").percent
    assert percent([5.0, 1.0, 2.0, 3.0, 4.0]) == "3 [2, 4]"
    assert percent([float("inf"), float("inf"), 1.0]) == "inf [1, inf]"
