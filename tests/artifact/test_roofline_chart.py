from __future__ import annotations

from xml.etree import ElementTree

import pytest

from automl.artifact.roofline_chart import decades
from automl.artifact.roofline_chart import roofline_svg
from tests.artifact.profiles import example_profile

_SVG = "{http://www.w3.org/2000/svg}"


def _circles(picture, kind):
    found = ElementTree.fromstring(picture).iter(f"{_SVG}circle")
    return [(float(e.get("cx")), float(e.get("cy"))) for e in found if e.get("class") == kind]


def test_every_operator_that_computes_has_a_ring_and_a_dot():
    picture = roofline_svg(example_profile())
    assert len(_circles(picture, "e")) == 3
    assert len(_circles(picture, "m")) == 3


def test_without_measurement_there_are_rings_alone():
    picture = roofline_svg(example_profile(measured=False))
    assert len(_circles(picture, "e")) == 3
    assert _circles(picture, "m") == []
    assert "measured" not in picture


def test_more_intense_is_further_right_and_slower_is_lower():
    picture = roofline_svg(example_profile())
    rings, dots = _circles(picture, "e"), _circles(picture, "m")
    assert [x for x, _ in rings] == [x for x, _ in dots]
    assert rings[0][0] > rings[2][0] > rings[1][0]
    assert all(dot[1] > ring[1] for ring, dot in zip(rings, dots, strict=True))


def test_marks_and_roofs_stay_inside_the_frame():
    picture = roofline_svg(example_profile())
    for x, y in _circles(picture, "e") + _circles(picture, "m"):
        assert 78 <= x <= 834
        assert 64 <= y <= 430
    roofs = [e.get("d") for e in ElementTree.fromstring(picture).iter(f"{_SVG}path")]
    assert len(roofs) == 2
    for path in roofs:
        for pair in path.removeprefix("M").split("L"):
            x, y = map(float, pair.split(","))
            assert 78 <= x <= 834
            assert 64 <= y <= 430


def test_an_operator_at_its_roof_lies_on_it():
    data = example_profile(measured=False)
    # 2e6 operations in 0.2 ms are 1e10 a second, the f32 peak: its ring has the height of that roof's end.
    roof = next(iter(ElementTree.fromstring(roofline_svg(data)).iter(f"{_SVG}path"))).get("d")
    assert _circles(roofline_svg(data), "e")[0][1] == pytest.approx(float(roof.split(",")[-1]), abs=0.02)


def test_names_of_users_cannot_leave_their_place():
    picture = roofline_svg(example_profile(name="<script>"))
    assert "<script>" not in picture
    ElementTree.fromstring(picture)


def test_decades_are_the_powers_of_ten_inside():
    assert decades(0.5, 2000) == [1.0, 10.0, 100.0, 1000.0]
    assert decades(1.0, 1.0) == [1.0]
