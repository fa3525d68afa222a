from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

import automl
from automl.api import bench_models
from automl.api import export_member
from automl.api import open_run
from automl.api import resume_run
from automl.core.errors import ArtifactError
from automl.core.errors import ConfigError
from automl.core.errors import LedgerError
from tests.architecture.source import ROOT
from tests.digits import N_TRAIN
from tests.digits import build
from tests.digits import digits


def test_trial_zero_is_the_untouched_model_in_f32(digits_run):
    images, labels = digits()
    model, _ = build()
    with torch.inference_mode():
        exact = (model(torch.from_numpy(images[N_TRAIN:])).argmax(1).numpy() == labels[N_TRAIN:]).mean()
    metrics = digits_run.answer.trial0.measurement
    assert metrics["drop"].value == 0.0
    assert abs(metrics["accuracy"].value - exact) < 0.05
    assert metrics["size_bytes"].value == 4 * sum(p.numel() for p in model.parameters()) - 4 * _folded(model)


def _folded(model):
    """Batch norm leaves one bias a channel where it had two parameters."""
    return sum(m.num_features for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d))


def test_load_gives_a_model_that_predicts(digits_run):
    artifact = automl.load(digits_run.folder / digits_run.best.member.artifact)
    assert artifact.predict(np.zeros((3, 1, 8, 8), np.float32)).shape == (3, 10)


def test_open_run_reads_the_same_answer(digits_run):
    assert open_run(digits_run.folder).answer.to_json() == digits_run.answer.to_json()


def test_resume_of_a_finished_run_evaluates_nothing_again(digits_run, tmp_path):
    # On a copy: confirming measures again, and other tests compare with the first answer.
    folder = shutil.copytree(digits_run.folder, tmp_path / digits_run.folder.name)
    before = (folder / "ledger.journal").read_bytes()
    again = resume_run(folder)
    assert (folder / "ledger.journal").read_bytes() == before
    assert again.best is not None


def test_another_configuration_in_the_same_folder_says_what_differs(digits_run, digits_data, shared_cache):
    with pytest.raises(ConfigError, match="another configuration"):
        automl.search(
            "tests.digits:build", data=digits_data, seed=5, run=digits_run.folder, cache=shared_cache
        )


def test_export_member_refuses_an_unknown_id(digits_run, tmp_path):
    with pytest.raises(LedgerError, match="no single model"):
        export_member(digits_run.folder, "zzzz", tmp_path / "m.onnx", to="onnx")


def test_bench_measures_the_model_and_its_artifact_side_by_side(digits_run, digits_data):
    folder = str(digits_run.folder / digits_run.best.member.artifact)
    rows = bench_models(["tests.digits:build", folder], data=str(digits_data), repeats=20, evaluation=100)
    assert [name for name, _ in rows] == ["tests.digits:build", folder]
    assert rows[0][1]["drop"].value == 0.0
    assert all(m["latency_ms"].value > 0 for _, m in rows)


def test_a_module_and_samples_given_as_objects_are_searched(tmp_path, shared_cache):
    images, labels = digits()
    data = automl.core.samples.Samples((images[N_TRAIN:],), labels[N_TRAIN:])
    model, _ = build()
    result = automl.search(
        model,
        data=data,
        input_shapes=[(1, 1, 8, 8)],
        budget="size=0.5x",
        effort="quick",
        trials=8,
        calibration=32,
        evaluation=100,
        run=tmp_path / "given",
        cache=shared_cache,
    )
    assert result.best is not None
    assert (
        result.best.metrics["size_bytes"].value <= 0.5 * result.answer.trial0.measurement["size_bytes"].value
    )


def test_the_torch_target_is_searched_stored_and_served_without_the_search(torch_run, digits_data):
    quantized = next(m for m in torch_run.front if "w8a8" in m.candidate.as_dict.values())
    assert next(s.implementation for s in quantized.member.served if s.option == "w8a8") == "cpu"
    folder = torch_run.folder / quantized.member.artifact
    code = (
        "import sys, json, numpy as np, automl\n"
        f"x = np.load({str(digits_data)!r})['images'][:5]\n"
        f"y = automl.load({str(folder)!r}).predict(x)\n"
        "names = ('ray', 'optuna', 'automl.strategies', 'automl.engine', 'tests.digits')\n"
        "print(json.dumps([y.tolist(), [n for n in names if n in sys.modules]]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    outputs, loaded = json.loads(done.stdout.splitlines()[-1])
    images = torch.from_numpy(np.load(digits_data)["images"][:5])
    with torch.no_grad():
        simulated = quantized.model(images).numpy()
    np.testing.assert_allclose(outputs, simulated, atol=0.03 * np.abs(simulated).max())
    assert loaded == []


def test_a_torch_program_is_benched_on_its_own_target_and_no_other(torch_run, digits_data):
    folders = [str(torch_run.folder / m.member.artifact) for m in torch_run.front[:1]]
    rows = bench_models(
        ["tests.digits:build_matrices", *folders], data=str(digits_data), repeats=4, evaluation=8, threads=1
    )
    assert all(m["latency_ms"].value > 0 for _, m in rows)
    with pytest.raises(ConfigError, match="holds a torch program, which target openvino"):
        bench_models(folders, data=str(digits_data), target="openvino", threads=1)


def test_a_torch_program_is_no_onnx_graph(torch_run, tmp_path):
    found = next(m for m in torch_run.front if m.member.artifact)
    with pytest.raises(ArtifactError, match=r"holds a torch program .*--to torch"):
        found.export(tmp_path / "model.onnx")
    assert found.export(tmp_path / "model.pt2").stat().st_size > 1000
