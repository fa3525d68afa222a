from __future__ import annotations

import pytest

from automl.artifact.sweep_data import covered_shares
from automl.artifact.sweep_data import summarize
from tests.artifact.sweeps import cell
from tests.artifact.sweeps import example_sweep


def test_a_front_at_the_best_corner_covers_everything_and_one_at_the_edges_nothing():
    rows = [
        cell("best", points=((0.2, 0.9, True),)),
        cell("edges", points=((0.2, 0.5, True), (0.8, 0.9, False))),
    ]
    assert covered_shares(rows) == {"net.best.0": 1.0, "net.edges.0": 0.0}


def test_a_point_in_the_middle_covers_a_quarter():
    rows = [
        cell("wide", points=((0.2, 0.5, True), (0.8, 0.9, False))),
        cell("mid", points=((0.5, 0.7, True),)),
    ]
    assert covered_shares(rows)["net.mid.0"] == pytest.approx(0.25)


def test_a_metric_to_minimize_is_read_the_other_way():
    points = ((0.2, 0.9, True),), ((0.8, 0.1, True),), ((0.2, 0.1, True),)
    rows = [cell(str(i), points=p, metric="kl") for i, p in enumerate(points)]
    assert list(covered_shares(rows).values()) == [0.0, 0.0, 1.0]


def test_a_cell_that_breaks_its_budgets_covers_nothing():
    rows = [cell("in", points=((0.5, 0.7, True),)), cell("out", points=((0.1, 0.99, False),))]
    assert covered_shares(rows) == {"net.in.0": 1.0, "net.out.0": 0.0}


def test_strategies_are_compared_by_quartiles_over_their_finished_seeds():
    by_name = {s.strategy: s for s in example_sweep().summaries}
    assert {name: (s.cells, s.met) for name, s in by_name.items()} == {
        "random": (2, 2),
        "evolutionary": (1, 1),
        "exact": (1, 0),
    }
    assert by_name["random"].quality == pytest.approx((0.725, 0.75, 0.775))
    assert by_name["exact"].quality is None
    assert by_name["exact"].covered == (0.0, 0.0, 0.0)
    assert by_name["evolutionary"].covered[1] > by_name["random"].covered[1]


def test_problems_are_kept_apart():
    rows = [cell(), cell(budget="size=4MB", name="other")]
    assert [s.problem[2] for s in summarize(rows)] == ["latency=0.6x", "size=4MB"]


def test_nothing_finished_gives_no_comparison():
    assert summarize([cell(state="failed")]) == ()
