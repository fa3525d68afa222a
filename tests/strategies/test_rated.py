from __future__ import annotations

import json

import numpy as np

from automl.strategies.rated import Rated
from automl.testing.problems import additive_problem

PROBLEM = additive_problem(2).problem


def rated(*rows):
    codes, points, violations = zip(*rows, strict=True)
    return Rated(np.array(codes), np.array(points), np.array(violations))


A, B, C = ([0, 1], [1.0, 2.0], 0.0), ([1, 1], [3.0, 4.0], 0.5), ([0, 1], [9.0, 9.0], 0.0)


def test_rows_are_joined_and_taken_in_order():
    both = rated(A).joined(rated(B, C))
    assert both.codes.tolist() == [[0, 1], [1, 1], [0, 1]]
    assert both.take(np.array([2, 0])).points.tolist() == [[9.0, 9.0], [1.0, 2.0]]
    assert both.take(slice(1, 2)).violations.tolist() == [0.5]
    assert len(both) == 3


def test_the_last_rating_of_a_code_counts():
    latest = rated(A, B, C).latest()
    assert latest.codes.tolist() == [[1, 1], [0, 1]]
    assert latest.points.tolist() == [[3.0, 4.0], [9.0, 9.0]]


def test_state_is_plain_json_and_comes_back():
    for rows in (rated(A, B), Rated.empty(PROBLEM)):
        back = Rated.from_state(PROBLEM, json.loads(json.dumps(rows.state)))
        assert back.state == rows.state
        assert (back.codes.shape, back.points.shape) == ((len(rows), 2), (len(rows), 2))
        assert back.codes.dtype == np.int64
    assert len(Rated.empty(PROBLEM).latest()) == 0
