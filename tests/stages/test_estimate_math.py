from __future__ import annotations

from dataclasses import fields
from dataclasses import replace

import pytest

from automl.stages.estimate_math import Amounts
from automl.stages.estimate_math import Paces
from automl.stages.estimate_math import duration_text
from automl.stages.estimate_math import estimate

NOTHING = Amounts(0.0, 0.0, 0, 0, 0, 0, 0.0, 0, 0, 0, 0)
SOME = Amounts(2.0, 300.0, 16, 24, 6, 3, 1.5, 24, 60, 256, 128)
PACES = Paces(rounding=0.5, forward=0.02, write=0.1, load=0.4, sample=0.01, run=0.005)


def total(amounts, paces=PACES):
    return sum(estimate(amounts, paces).values())


def test_nothing_to_price_or_search_leaves_the_untouched_model_to_confirm():
    seconds = estimate(NOTHING, PACES)
    assert (seconds["price damage"], seconds["price latency"], seconds["search"]) == (0.0, 0.0, 0.0)
    assert seconds["confirm"] == pytest.approx(2 * PACES.write + 2 * PACES.load)


def test_a_trial_is_written_compiled_for_quality_and_time_predicted_and_timed_beside_the_reference():
    seconds = estimate(replace(NOTHING, trials=1, repeats=8, evaluation=100), PACES)["search"]
    # Eight runs of candidate and reference, one untimed run before every four.
    assert seconds == pytest.approx(0.1 + 0.4 + 2 * 10 * 0.005 + 0.4 + 100 * 0.01)


def test_sensitivities_are_rounding_and_passes():
    assert estimate(SOME, PACES)["price damage"] == pytest.approx(2 * 0.5 + 300 * 0.02)


@pytest.mark.parametrize("name", [f.name for f in fields(Amounts) if f.name != "workers"])
def test_more_of_anything_takes_longer(name):
    assert total(replace(SOME, **{name: 2 * getattr(SOME, name)})) > total(SOME)


@pytest.mark.parametrize("name", [f.name for f in fields(Paces)])
def test_a_slower_step_takes_longer_and_time_scales_with_the_machine(name):
    assert total(SOME, replace(PACES, **{name: 2 * getattr(PACES, name)})) > total(SOME)
    twice = Paces(*(2 * getattr(PACES, f.name) for f in fields(Paces)))
    assert total(SOME, twice) == pytest.approx(2 * total(SOME))


def test_workers_share_the_quality_and_not_the_timing():
    one, many = estimate(SOME, PACES)["search"], estimate(replace(SOME, workers=10**9), PACES)["search"]
    assert one - many == pytest.approx(SOME.trials * (PACES.load + SOME.evaluation * PACES.sample), rel=1e-6)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "1 s"),
        (44.6, "45 s"),
        (59.4, "59 s"),
        (60.0, "1 min"),
        (202.0, "3 min 20 s"),
        (3599.0, "60 min"),
        (3600.0, "1 h"),
        (3900.0, "1 h 5 min"),
        (7260.0, "2 h"),
    ],
)
def test_durations_are_said_as_exactly_as_they_are_known(seconds, text):
    assert duration_text(seconds) == text
