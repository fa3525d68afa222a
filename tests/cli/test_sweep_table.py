from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

from rich.console import Console

from automl.api_sweep import SweepResult
from automl.cli.sweep_table import plan_json
from automl.cli.sweep_table import show_plan
from automl.cli.sweep_table import show_sweep
from automl.cli.sweep_table import sweep_json
from automl.stages.sweep_estimate import CellEstimate
from automl.sweep_config import make_sweep
from tests.artifact.sweeps import example_sweep


def shown(show, value):
    stream = StringIO()
    show(Console(file=stream, width=160), value)
    return stream.getvalue()


def plan():
    cells = make_sweep({"models": ["a:build", "[b]:build"], "trials": 10}).cells()
    return (
        CellEstimate(cells[0], {"search": 30.0, "confirm": 30.0}),
        CellEstimate(cells[1], {}, "there is no [b]"),
    )


def test_every_cell_has_a_line_and_every_failure_its_reason():
    text = shown(show_sweep, SweepResult(Path("runs/n"), example_sweep()))
    assert text.count("latency=0.6x") == 6
    assert "failed: net.evolutionary.1: no <model> here" in text
    assert "budgets not met" in text
    assert "automl resume runs/n" in text
    assert "80.00 %" in text


def test_the_object_of_a_sweep_is_json_with_all_cells():
    found = json.loads(json.dumps(sweep_json(SweepResult(Path("runs/n"), example_sweep()))))
    assert [c["state"] for c in found["cells"]].count("done") == 4
    assert found["cells"][0]["run"] == "runs/n/cells/net.random.0"
    assert {s["strategy"] for s in found["comparison"]} == {"random", "evolutionary", "exact"}


def test_a_plan_adds_up_and_says_what_it_does_not_know():
    text = shown(show_plan, plan())
    assert "2 cells, 20 trials, about 1 min" in text
    assert "cannot be estimated: there is no [b]" in text
    found = json.loads(json.dumps(plan_json(plan())))
    assert found["seconds"] == 60.0
    assert [c["seconds"] for c in found["cells"]] == [60.0, None]
    assert found["cells"][1]["reason"] == "there is no [b]"
