from __future__ import annotations

import json

from automl.core.measurement import Measurement
from automl.core.measurement import Metric


def test_model_and_artifact_are_shown_side_by_side(shell, digits_run, digits_data):
    folder = digits_run.folder / digits_run.best.member.artifact
    arguments = ("tests.digits:build", folder, "--data", digits_data, "--repeats", 20, "--evaluation", 100)
    said = shell("bench", *arguments, "--json")
    assert said.code == 0
    body = json.loads(said.out)
    assert body["schema"] == 1
    assert [m["name"] for m in body["models"]] == ["tests.digits:build", str(folder)]
    latency = body["models"][1]["metrics"]["latency_ms"]
    assert set(latency) == {"value", "unit", "low", "high", "n"}
    assert latency["low"] <= latency["value"] <= latency["high"]
    assert latency["n"] == 20

    said = shell("bench", *arguments)
    assert said.code == 0
    assert "1.00x" in said.out
    assert "accuracy" in said.out


def test_models_of_different_origin_are_refused(shell, digits_run):
    folder = digits_run.folder / digits_run.best.member.artifact
    said = shell("bench", folder, "tests.artifact.models:nothing")
    assert said.code == 2
    assert said.err.count("\n") == 1


def test_how_a_device_was_timed_is_shown(shell, monkeypatch):
    metrics = {"latency_ms": Metric(1.0, "ms")}
    rows = [("plain", Measurement(metrics)), ("fast", Measurement(metrics, {"latency_timed": "a graph [x]"}))]
    monkeypatch.setattr("automl.api.bench_models", lambda *_, **__: rows)
    said = shell("bench", "plain", "fast").out
    assert "fast: timed by a graph [x]" in said
    assert "plain: timed" not in said
    models = json.loads(shell("bench", "plain", "fast", "--json").out)["models"]
    assert [m.get("latency_timed") for m in models] == [None, "a graph [x]"]
