from __future__ import annotations

import json

import pytest

ESTIMATE = ("tests.digits:build", "--device", "a100", "--float", "bf16")


@pytest.fixture
def cached(shell, shared_cache):
    return lambda *arguments: shell("profile", *arguments, "--cache", shared_cache)


def test_operators_are_shown_with_their_bound(cached, digits_data):
    said = cached(*ESTIMATE, "--data", digits_data)
    assert said.code == 0
    for word in ("stem", "conv", "memory", "estimated ms", "data sheet", "A100"):
        assert word in said.out
    assert "measured ms" not in said.out


def test_the_dearest_are_shown_and_the_others_summed(cached, digits_data):
    said = cached(*ESTIMATE, "--data", digits_data, "--top", 2)
    assert said.code == 0
    assert "operators more" in said.out
    whole = cached(*ESTIMATE, "--data", digits_data, "--top", 0)
    assert "operators more" not in whole.out


def test_json_is_one_object_alone(cached, digits_data):
    said = cached(*ESTIMATE, "--data", digits_data, "--json")
    body = json.loads(said.out)
    assert body["schema"] == 1
    assert body["totals"]["measured_ms"] is None
    assert {"name", "macs", "moved_bytes", "intensity", "bound", "estimated_ms"} <= set(body["rows"][0])


def test_page_is_written(cached, digits_data, tmp_path):
    said = cached(*ESTIMATE, "--data", digits_data, "--html", tmp_path / "p.html")
    assert said.code == 0
    assert "<svg" in (tmp_path / "p.html").read_text()


def test_an_unknown_device_is_one_sentence(cached):
    said = cached("tests.digits:build", "--device", "h10")
    assert said.code == 2
    assert said.err.count("\n") == 1
    assert "did you mean 'h100'" in said.err
