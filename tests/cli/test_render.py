from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from automl.cli.render import answer_json
from automl.cli.render import format_metric
from automl.cli.render import front_table
from automl.cli.render import show_answer
from automl.cli.render import wide_console
from automl.core.curve import CurveSeries
from automl.core.curve import LearningCurve
from automl.core.measurement import Measurement
from automl.core.measurement import Metric


def drawn(draw) -> str:
    sink = StringIO()
    draw(Console(file=sink, width=220))
    return sink.getvalue()


@pytest.mark.parametrize(
    ("name", "metric", "text"),
    [
        ("accuracy", Metric(0.884, "", 0.85, 0.91, 500), "88.4 % [85.0, 91.0]"),
        ("latency_ms", Metric(5.125, "ms", 5.0, 5.25, 30), "5.12 ms [5.00, 5.25]"),
        ("size_bytes", Metric(4_650_000, "B"), "4.65 MB"),
        ("memory_bytes", Metric(56_300_000, "B", 56_200_000, 56_400_000, 3), "56.30 MB [56.20, 56.40]"),
        ("macs", Metric(2.5e9, "MAC"), "2.50 G"),
        ("macs", Metric(3.0e8, "MAC"), "300 M"),
        ("kl", Metric(0.012345, "nat"), "0.01235"),
    ],
)
def test_metrics_are_in_the_unit_people_read(name, metric, text):
    assert format_metric(name, metric) == text


def test_the_interval_can_be_left_out():
    assert format_metric("accuracy", Metric(0.5, "", 0.4, 0.6, 9), interval=False) == "50.0 %"


def test_the_table_has_trial_zero_the_front_its_budgets_and_a_mark_on_the_pick(digits_run):
    answer = digits_run.answer
    text = drawn(lambda c: c.print(front_table(answer)))
    for title in (
        "accuracy",
        "latency (median)",
        "p95",
        "predicted",
        "size",
        "MACs",
        "latency=1.5x",
        "drop=5%",
    ):
        assert title in text
    for member in (answer.trial0, *answer.front):
        assert member.id in text
    marked = [line for line in text.splitlines() if "*" in line]
    assert len(marked) == 1
    assert answer.best in marked[0]


def with_memory(member, value):
    memory = Measurement({"memory_bytes": Metric(value, "B")})
    return replace(member, measurement=member.measurement.merged(memory))


def test_memory_has_a_column_when_it_was_measured(digits_run):
    answer = digits_run.answer
    assert "memory" not in drawn(lambda c: c.print(front_table(answer)))
    front = tuple(with_memory(m, 4e6 + 1e4 * i) for i, m in enumerate(answer.front))
    text = drawn(
        lambda c: c.print(front_table(replace(answer, trial0=with_memory(answer.trial0, 9e6), front=front)))
    )
    for figure in ("memory", "9.00 MB", "4.00 MB"):
        assert figure in text


def test_the_pick_its_artifact_and_the_report_are_named(digits_run):
    text = drawn(lambda c: show_answer(c, digits_run.answer, digits_run.folder))
    assert f"Pick {digits_run.best.id}" in text
    flat = text.replace("\n", "")
    assert str(digits_run.folder / digits_run.best.member.artifact) in flat
    assert str(digits_run.folder / "report.html") in flat


def test_without_a_feasible_model_the_nearest_and_the_reachable_range_are_shown(digits_run):
    answer = replace(
        digits_run.answer,
        front=(),
        best=None,
        nearest=digits_run.answer.front,
        reachable={"latency_ms": (0.25, 2.0)},
    )
    text = drawn(lambda c: show_answer(c, answer, digits_run.folder))
    assert "nearest" in text
    assert "0.25 ms to 2.00 ms" in text
    assert "Pick" not in text


def test_names_from_outside_are_not_markup(digits_run):
    answer = replace(digits_run.answer, notes=("data [bold]x[/bold] was short",))
    assert "[bold]x[/bold]" in drawn(lambda c: show_answer(c, answer, digits_run.folder))


def test_the_json_has_the_promised_schema(digits_run):
    body = answer_json(digits_run.answer, digits_run.folder)
    assert {"schema", "run", "target", "trial0", "best", "front"} <= set(body)
    assert body["schema"] == 1
    assert body["run"] == str(digits_run.folder)
    assert body["best"] == body["front"][0]["id"]
    for row in body["front"]:
        assert set(row) == {"id", "candidate", "metrics", "budgets", "artifact"}
        assert row["budgets"] == {"latency=1.5x": True, "drop=5%": True}
        assert all(set(m) == {"value", "unit", "low", "high", "n"} for m in row["metrics"].values())
    assert body["trial0"]["metrics"]["drop"]["value"] == 0.0
    assert body["curves"] == []


def test_the_json_has_the_rows_of_what_was_learned(digits_run):
    curve = LearningCurve("p", "h", "updates", (0.0, 1.0), (CurveSeries("r", "r, std", (0.5, 2.0)),))
    body = answer_json(replace(digits_run.answer, curves=(curve,)), digits_run.folder)
    assert body["curves"] == [curve.to_json()]


def test_output_to_a_pipe_is_wide_enough_for_the_table():
    assert wide_console().width >= 120 or wide_console().is_terminal


def test_an_estimated_latency_is_called_so_in_table_and_json(estimated_run):
    answer = estimated_run.answer
    text = drawn(lambda console: console.print(front_table(answer)))
    assert "latency (estimated)" in text
    assert "estimated for NVIDIA A100" in text
    assert "latency (median)" not in text
    shown = drawn(lambda console: show_answer(console, answer, estimated_run.folder))
    assert "the estimated latency of the untouched" in shown
    assert "estimated, not measured" in shown
    body = answer_json(answer, estimated_run.folder)
    assert body["latency"] == "estimated"
    assert body["target"]["estimate"]["device"] == "a100"
    assert "latency_ms" not in body["front"][0]["metrics"]
