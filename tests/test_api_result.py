from __future__ import annotations

import pytest
import torch

from automl.api_result import report_run
from automl.core.errors import AutomlError
from automl.core.errors import ConfigError
from tests.digits import N_TRAIN
from tests.digits import digits


def test_the_front_is_measured_feasible_and_non_dominated(digits_run):
    front = digits_run.front
    assert front
    assert digits_run.best is not None
    for found in front:
        assert all(found.member.budgets.values())
        assert found.metrics["accuracy"].value > 0.85
        assert found.metrics["latency_ms"].n >= 30
    points = [(-f.metrics["accuracy"].value, f.metrics["latency_ms"].value) for f in front]
    for a in points:
        assert not any(b != a and b[0] <= a[0] and b[1] <= a[1] for b in points)


def test_the_artifact_predicts_what_the_module_predicts(digits_run):
    found = digits_run.front[-1]
    images, _ = digits()
    batch = images[N_TRAIN : N_TRAIN + 64]
    deployed = found.artifact.predict(batch)
    with torch.inference_mode():
        simulated = found.model(torch.from_numpy(batch))
    simulated = (simulated[0] if isinstance(simulated, tuple) else simulated).numpy()
    assert (deployed.argmax(1) == simulated.argmax(1)).mean() >= 0.98


@pytest.mark.parametrize("suffix", ["onnx", "xml", "pt2"])
def test_exports_are_written_in_the_format_of_the_suffix(digits_run, tmp_path, suffix):
    written = digits_run.best.export(tmp_path / f"m.{suffix}")
    assert written.exists()
    assert written.stat().st_size > 0
    if suffix == "pt2":
        program = torch.export.load(written)
        out = program.module()(torch.zeros(1, 1, 8, 8))
        assert torch.isfinite(out[0] if isinstance(out, tuple) else out).all()


def test_unknown_export_format_names_the_known_ones(digits_run, tmp_path):
    with pytest.raises(ConfigError, match="onnx, openvino, torch"):
        digits_run.best.export(tmp_path / "m.bin", to="tflite")


def test_to_frame_has_a_row_a_model(digits_run):
    frame = digits_run.to_frame()
    assert frame.index[0] == digits_run.answer.trial0.id
    assert {"accuracy", "latency_ms", "size_bytes"} <= set(frame.columns)


def test_the_report_can_be_written_again(digits_run, tmp_path):
    path = report_run(digits_run.folder, tmp_path / "again.html")
    assert "<html" in path.read_text()
    with pytest.raises(AutomlError):
        report_run(tmp_path)
