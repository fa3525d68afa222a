from __future__ import annotations

import json

import numpy as np

from automl.strategies.curve_log import CurveLog


def filled(n):
    log = CurveLog()
    for step in range(n):
        log.note(step, 2.0 * step)
    return log


def test_a_long_curve_is_thinned_evenly(monkeypatch):
    monkeypatch.setattr("automl.strategies.curve_log._LONGEST", 8)
    for n in range(1, 80):
        log = filled(n)
        steps = [row[0] for row in log.rows]
        assert len(steps) <= 8
        assert steps[0] == 0
        assert len(set(np.diff(steps))) <= 1
        assert steps[-1] > (n - 1) / 2 or n == 1
        assert [row[1] for row in log.rows] == [2 * step for step in steps]
        assert log.noted == n


def test_a_restored_log_goes_on_as_if_it_had_not_stopped(monkeypatch):
    monkeypatch.setattr("automl.strategies.curve_log._LONGEST", 8)
    for n in (0, 1, 8, 9, 13):
        log = CurveLog()
        log.restore(json.loads(json.dumps(filled(n).state)))
        for step in range(n, n + 20):
            log.note(step, 2.0 * step)
        assert log.state == filled(n + 20).state


def test_one_row_is_no_curve():
    series = (("double", "twice the step"),)
    assert filled(1).curves("t", "h", "steps", series) == ()
    (curve,) = filled(3).curves("t", "h", "steps", series)
    assert curve.steps == (0, 1, 2)
    assert curve.series[0].values == (0, 2, 4)
    assert (curve.series[0].name, curve.series[0].axis) == series[0]
