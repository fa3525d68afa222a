from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from automl.artifact.charts import front_svg
from automl.artifact.charts import nice_ticks
from tests.artifact.runs import example_run

_SVG = "{http://www.w3.org/2000/svg}"


def _count(picture, kind):
    return sum(e.get("class") == kind for e in ElementTree.fromstring(picture).iter())


def test_picture_holds_front_pick_baseline_and_budgets():
    picture = front_svg(example_run())
    assert _count(picture, "f") == 7
    assert _count(picture, "k") == 1
    assert _count(picture, "o") == 1
    assert _count(picture, "b") == 2
    assert _count(picture, "w") == 16


def test_marks_stay_inside_the_frame():
    for circle in ElementTree.fromstring(front_svg(example_run())).iter(f"{_SVG}circle"):
        assert 70 <= float(circle.get("cx")) <= 834
        assert 64 <= float(circle.get("cy")) <= 410


def test_faster_is_further_left_and_better_is_higher():
    marks = [
        e for e in ElementTree.fromstring(front_svg(example_run())).iter() if e.get("class") in {"f", "k"}
    ]
    places = sorted((float(m.get("cx")), float(m.get("cy"))) for m in marks)
    assert [y for _, y in places] == sorted((y for _, y in places), reverse=True)


def test_user_names_are_text():
    name = "<script>alert(1)</script> & co"
    root = ElementTree.fromstring(front_svg(replace(example_run(), title=name)))
    assert name in [e.text for e in root.iter(f"{_SVG}text")]
    assert not list(root.iter(f"{_SVG}script"))


def test_trial_zero_alone_is_drawn():
    whole = example_run()
    picture = front_svg(replace(whole, trials=whole.trials[:1], choices={}))
    assert _count(picture, "o") == 1


@pytest.mark.parametrize(
    ("low", "high", "wanted", "ticks"),
    [(0, 10, 5, [0, 2, 4, 6, 8, 10]), (2.9, 6.4, 7, [3, 3.5, 4, 4.5, 5, 5.5, 6]), (1, 1, 5, [1])],
)
def test_ticks_are_round(low, high, wanted, ticks):
    assert nice_ticks(low, high, wanted) == pytest.approx(ticks)
