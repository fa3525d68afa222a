from __future__ import annotations

import numpy as np
import pytest

from automl.strategies.neighbour_math import move_deltas
from automl.strategies.neighbour_math import near_optimal_codes
from automl.testing.problems import additive_problem


def test_deltas_equal_differences_of_predictions():
    tables = additive_problem(7, pairs=True, seed=3).problem.tables
    code = np.array([0, 2, 1, 1, 0, 2, 0])
    columns = np.array([0, 1, 3, 6, 6])
    options = np.array([2, 0, 2, 1, 2])
    for metric in ("kl", "size_bytes"):
        deltas = move_deltas(tables, metric, code, columns, options)
        for column, option, delta in zip(columns, options, deltas, strict=True):
            moved = code.copy()
            moved[column] = option
            change = tables.predict(metric, moved[None])[0] - tables.predict(metric, code[None])[0]
            assert delta == pytest.approx(change)


def test_neighbours_are_the_best_codes_within_two_decisions():
    synthetic = additive_problem(6, seed=5)
    tables, limit = synthetic.problem.tables, synthetic.problem.budgets[0].limit
    codes = np.indices([3] * 6).reshape(6, -1).T
    loss, cost = tables.predict("kl", codes), tables.predict("size_bytes", codes)
    code = codes[np.flatnonzero(cost <= limit)[np.argmin(loss[cost <= limit])]]
    distance = (codes != code).sum(axis=1)
    near = (distance >= 1) & (distance <= 2) & (cost <= limit)
    got = near_optimal_codes(tables, code, "kl", {"size_bytes": limit}, count=15)
    assert np.allclose(tables.predict("kl", got), np.sort(loss[near])[:15])


def test_excess_of_an_infeasible_code_is_allowed_but_not_increased():
    tables = additive_problem(6).problem.tables
    code = np.full(6, 2)
    cost = tables.predict("size_bytes", code[None])[0]
    got = near_optimal_codes(tables, code, "kl", {"size_bytes": 0.5 * cost}, count=50)
    assert (tables.predict("size_bytes", got) <= cost * (1 + 1e-9)).all()


def test_nothing_to_move():
    tables = additive_problem(3, 1, fraction=None).problem.tables
    assert near_optimal_codes(tables, np.zeros(3, dtype=np.int64), "kl", {}, count=5).shape == (0, 3)
