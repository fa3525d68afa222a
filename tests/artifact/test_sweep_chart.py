from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from automl.artifact.sweep_chart import fronts_svg
from automl.artifact.sweep_chart import strategy_colors
from tests.artifact.sweeps import cell
from tests.artifact.sweeps import example_sweep


def circles(svg):
    return [e for e in ET.fromstring(svg).iter() if e.tag.endswith("circle")]


def test_every_model_is_a_mark_and_picks_are_larger():
    rows = [row for row in example_sweep().rows if row.front]
    marks = circles(fronts_svg(rows, strategy_colors([r.strategy for r in rows])))
    assert len(marks) == sum(len(r.front) for r in rows)
    assert sorted(m.get("r") for m in marks) == ["4"] * 3 + ["7"] * 3


def test_faster_is_left_and_better_is_up():
    row = cell(points=((0.3, 0.6, False), (0.6, 0.9, True)))
    slow_good, fast_bad = sorted(
        circles(fronts_svg([row], {"random": "red"})), key=lambda m: -int(m.get("r"))
    )
    assert float(fast_bad.get("cx")) < float(slow_good.get("cx"))
    assert float(fast_bad.get("cy")) > float(slow_good.get("cy"))


def test_models_over_a_budget_are_hollow():
    (mark,) = circles(fronts_svg([cell(points=((0.7, 0.7, False),))], {"random": "#123456"}))
    assert mark.get("fill") == "none"
    assert mark.get("stroke") == "#123456"


def test_one_point_is_drawn_inside_the_frame():
    (mark,) = circles(fronts_svg([cell(points=((0.0, 0.0, True),))], {"random": "red"}))
    assert 70 < float(mark.get("cx")) < 1160
    assert 30 < float(mark.get("cy")) < 345


def test_each_strategy_has_a_color_of_its_own():
    colors = strategy_colors(["b", "a", "b", "c"])
    assert list(colors) == ["b", "a", "c"]
    assert len(set(colors.values())) == 3
    assert all(re.fullmatch("#[0-9a-f]{6}", c) for c in colors.values())
