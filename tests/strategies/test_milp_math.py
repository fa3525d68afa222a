from __future__ import annotations

import os

import numpy as np
import pytest

from automl.core.errors import StrategyError
from automl.strategies.base import AdditiveTables
from automl.strategies.milp_math import Implication
from automl.strategies.milp_math import MilpProgram
from automl.strategies.milp_math import solve_milp


def random_tables(seed, sizes, pairs):
    rng = np.random.default_rng(seed)
    unary = {m: tuple(rng.normal(size=n) for n in sizes) for m in ("loss", "cost")}
    pairwise = {
        m: {(i, j): rng.normal(size=(sizes[i], sizes[j])) for i, j in pairs} for m in ("loss", "cost")
    }
    return AdditiveTables(unary, pairwise, {"loss": 3.0, "cost": -2.0})


def all_codes(sizes):
    return np.indices(sizes).reshape(len(sizes), -1).T


@pytest.mark.parametrize("seed", range(6))
def test_pair_terms_on_both_metrics_agree_with_brute_force(seed):
    sizes = [3, 2, 4, 1, 3, 2]
    tables = random_tables(seed, sizes, [(0, 1), (1, 2), (0, 5), (2, 4)])
    codes = all_codes(sizes)
    cost, loss = tables.predict("cost", codes), tables.predict("loss", codes)
    limit = float(np.quantile(cost, 0.2))
    solution = solve_milp(tables, "loss", {"cost": limit})
    assert solution.status == "optimal"
    assert solution.value == pytest.approx(loss[cost <= limit].min(), abs=1e-9)
    assert tables.predict("cost", solution.code[None])[0] <= limit + 1e-9
    assert tables.predict("loss", solution.code[None])[0] == pytest.approx(solution.value)


def test_no_limit_finds_the_unconstrained_minimum():
    sizes = [3, 3, 3]
    tables = random_tables(0, sizes, [(0, 2)])
    assert solve_milp(tables, "loss", {}).value == pytest.approx(
        tables.predict("loss", all_codes(sizes)).min()
    )


def test_nothing_fits():
    tables = random_tables(0, [3, 3], [])
    solution = solve_milp(tables, "loss", {"cost": -1e6})
    assert solution.code is None
    assert solution.status == "infeasible"


def test_limit_equal_to_the_cheapest_code_is_feasible():
    tables = random_tables(3, [3, 3, 3, 3], [])
    cheapest = float(tables.predict("cost", all_codes([3] * 4)).min())
    solution = solve_milp(tables, "loss", {"cost": cheapest})
    assert tables.predict("cost", solution.code[None])[0] == pytest.approx(cheapest)


def test_large_and_small_scales_do_not_confuse_the_tolerances():
    rng = np.random.default_rng(5)
    sizes = [2] * 12
    unary = {
        "loss": tuple(rng.random(2) * 1e-7 for _ in sizes),
        "cost": tuple(rng.integers(1, 10**9, 2).astype(float) for _ in sizes),
    }
    tables = AdditiveTables(unary)
    codes = all_codes(sizes)
    cost, loss = tables.predict("cost", codes), tables.predict("loss", codes)
    for quantile in (0.05, 0.3, 0.7):
        limit = float(np.quantile(cost, quantile)) - 1.0
        solution = solve_milp(tables, "loss", {"cost": limit})
        assert tables.predict("cost", solution.code[None])[0] <= limit * (1 + 1e-9)
        assert solution.value == pytest.approx(loss[cost <= limit].min(), rel=1e-9)


def test_implication_sets_the_child_unless_the_parent_allows_it():
    tables = AdditiveTables({"loss": (np.array([1.0, 0.9]), np.array([1.0, 0.0]))})
    free = solve_milp(tables, "loss", {})
    tied = solve_milp(
        tables, "loss", {}, implications=[Implication(child=1, option=0, parent=0, values=(0,))]
    )
    assert free.code.tolist() == [1, 1]
    assert tied.code.tolist() == [0, 1]
    assert tied.value == pytest.approx(1.0)


def test_one_program_serves_many_limits():
    tables = random_tables(1, [3] * 5, [(0, 1)])
    program = MilpProgram(tables)
    limits = np.linspace(*np.quantile(tables.predict("cost", all_codes([3] * 5)), [0.05, 0.95]), 6)
    values = [program.solve({"loss": 1.0}, {"cost": float(limit)}).value for limit in limits]
    assert (np.diff(values) <= 1e-9).all()


def test_weighted_sum_of_metrics():
    tables = random_tables(2, [3] * 4, [])
    codes = all_codes([3] * 4)
    both = 2.0 * tables.predict("loss", codes) + 0.5 * tables.predict("cost", codes)
    assert MilpProgram(tables).solve({"loss": 2.0, "cost": 0.5}, {}).value == pytest.approx(both.min())


def test_unknown_metric_is_named():
    with pytest.raises(StrategyError, match=r"'cots'; did you mean 'cost'"):
        solve_milp(random_tables(0, [2], []), "loss", {"cots": 1.0})


def test_tables_of_unequal_options_are_refused():
    with pytest.raises(StrategyError, match="same options"):
        MilpProgram(AdditiveTables({"loss": (np.ones(2),), "cost": (np.ones(3),)}))


def test_a_price_that_is_not_finite_is_refused():
    with pytest.raises(StrategyError, match="finite"):
        MilpProgram(AdditiveTables({"loss": (np.array([1.0, np.inf]),)}))


def test_what_the_solver_writes_to_standard_output_is_dropped(capfd, monkeypatch):
    def noisy(*_, **__):
        os.write(1, b"HighsMipSolverData")
        raise StrategyError("stop here")

    monkeypatch.setattr("automl.strategies.milp_math.milp", noisy)
    tables = AdditiveTables({"a": (np.array([0.0, 1.0]), np.array([2.0, 1.0]))})
    with pytest.raises(StrategyError, match="stop here"):
        solve_milp(tables, "a", {})
    os.write(1, b"after")
    assert capfd.readouterr().out == "after"
