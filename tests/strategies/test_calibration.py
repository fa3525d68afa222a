from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import spearmanr

from automl.strategies.calibration import TWO_SIDED_95
from automl.strategies.calibration import CalibrationRecord
from automl.strategies.calibration import rank_correlation


def told(empty, truth, mean, spread, plain):
    truth, mean, spread, plain = map(np.asarray, (truth, mean, spread, plain))
    return empty.told(truth, mean, mean - TWO_SIDED_95 * spread, mean + TWO_SIDED_95 * spread, plain)


def record(truth, mean, spread, plain):
    return told(CalibrationRecord.empty("kl", "the mean"), truth, mean, spread, plain)


def test_rank_correlation_agrees_with_scipy_ties_included():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 9, 40).astype(float), rng.integers(0, 9, 40).astype(float)
    assert rank_correlation(a, b) == pytest.approx(spearmanr(a, b)[0])


@pytest.mark.parametrize("values", [[], [1.0], [2.0, 2.0, 2.0]])
def test_rank_correlation_is_unknown_without_variation(values):
    assert rank_correlation(np.array(values), np.arange(len(values), dtype=float)) is None


def test_nothing_holds_before_enough_predictions():
    truth = np.arange(7.0)
    few = record(truth, truth, np.ones(7), np.zeros(7))
    assert not few.holds
    assert "7 of the 8" in few.reason
    assert told(few, *(np.array([v]) for v in (7.0, 7.0, 1.0, 0.0))).holds


def test_the_better_mean_absolute_error_decides_and_is_told():
    truth = np.arange(10.0)
    good = record(truth, truth + 0.5, np.ones(10), truth + 1.0)
    assert good.holds
    assert good.errors == pytest.approx((0.5, 1.0))
    assert good.reason == "error 0.5 beats 1 of the mean by more than chance on the last 10 predictions"
    tie = record(truth, truth + 1.0, np.ones(10), truth - 1.0)
    assert not tie.holds
    assert "does not beat" in tie.reason


def test_an_advantage_within_its_standard_error_is_chance():
    truth = np.zeros(10)
    plain = np.array([1.0, 1, 1, 1, 1, 1, 1, 1, 1, 1])
    lucky = np.array([0.0, 2, 0, 2, 0, 2, 0, 2, 1, 0.9])
    assert record(truth, lucky, np.ones(10), plain).errors[0] < 1.0
    assert not record(truth, lucky, np.ones(10), plain).holds


def test_only_the_last_64_are_judged_and_all_are_counted():
    truth = np.arange(100.0)
    late = record(truth, np.where(truth < 36, truth + 50, truth), np.ones(100), truth + 1.0)
    assert late.holds
    assert late.errors[0] == 0.0
    assert late.report["predicted"] == 100
    assert late.report["judged"] == 64


def test_coverage_counts_truths_within_the_95_percent_interval():
    report = record(
        np.zeros(8), [0, 1.9, -1.9, 2.0, 0, 0, 3.8, 4.0], [1, 1, 1, 1, 1, 1, 2, 2], np.ones(8)
    ).report
    assert report["coverage_95"] == 6 / 8


def test_an_interval_need_not_be_even_about_the_prediction():
    truth = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
    ends = CalibrationRecord.empty("kl", "the mean").told(truth, truth, truth, truth + 9.0, truth)
    assert ends.report["coverage_95"] == 1.0
    assert ends.told(truth, truth - 2, truth - 3, truth - 1, truth).report["coverage_95"] == 0.5


def test_report_is_plain_json_from_the_start():
    empty = CalibrationRecord.empty("kl", "the mean").report
    assert json.loads(json.dumps(empty)) == empty
    assert empty["in_use"] is False
    assert empty["error"] is None
    assert empty["coverage_95"] is None


def test_state_survives_json():
    full = record(np.arange(9.0), np.ones(9), np.ones(9), np.zeros(9))
    again = CalibrationRecord.from_state("kl", "the mean", json.loads(json.dumps(full.state)))
    assert again.report == full.report
    assert np.array_equal(again.rows, full.rows)


def test_the_sentence_says_state_reason_and_calibration():
    empty = CalibrationRecord.empty("kl", "the mean")
    assert empty.sentence.startswith("learned prediction of kl switched off: 0 of the")
    truth = np.arange(64.0)
    good = told(empty, truth, truth + 0.1, np.full(64, 0.1), np.full(64, truth.mean()))
    assert "in use: error 0.1 beats 16" in good.sentence
    assert good.sentence.endswith("rank correlation 1.00; its 95 % interval held 100 % of them")
