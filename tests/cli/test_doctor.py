from __future__ import annotations

import json

from automl.stages.doctor import Finding


def test_every_finding_is_in_the_json(shell):
    said = shell("doctor", "--json")
    assert said.code == 0
    findings = json.loads(said.out)["findings"]
    assert {f["what"] for f in findings} == {"target", "model", "strategy"}
    assert any(f["name"] == "openvino" and f["usable"] for f in findings)


def test_what_is_not_usable_says_why(shell, monkeypatch):
    missing = Finding("model", "one", False, "pip install 'automl[zoo]'")
    monkeypatch.setattr(
        "automl.stages.doctor.diagnose", lambda: [missing, Finding("strategy", "two", True, "fine")]
    )
    said = shell("doctor")
    row = next(line for line in said.out.splitlines() if "one" in line)
    assert "no" in row
    assert "pip install 'automl[zoo]'" in row
