from __future__ import annotations

import subprocess
import sys

import numpy as np
import onnx
import pytest

from automl.artifact.load import load_artifact
from automl.artifact.save import save_artifact
from automl.core.errors import ArtifactError
from tests.architecture.source import ROOT
from tests.artifact.models import INPUTS
from tests.artifact.models import info
from tests.artifact.models import quantized_model
from tests.artifact.models import reference_output
from tests.artifact.models import settings_of


@pytest.fixture
def x():
    return np.random.default_rng(3).normal(size=(5, INPUTS)).astype(np.float32)


@pytest.mark.parametrize("target", ["openvino", "onnxruntime", "openvino:isa=avx2"])
@pytest.mark.parametrize("bits", [3, 4])
def test_prediction_from_packed_weights_is_the_models(tmp_path, x, target, bits):
    model = quantized_model(bits=bits)
    save_artifact(tmp_path / "m", model, info(target=target), packed={"codes": bits})
    predicted = load_artifact(tmp_path / "m").predict(x)
    np.testing.assert_allclose(predicted, reference_output(model, x), rtol=1e-4, atol=1e-4)


def test_size_is_the_bytes_on_disk_and_falls_with_the_bits(tmp_path):
    sizes = {}
    for bits in (2, 4, 8):
        save_artifact(tmp_path / str(bits), quantized_model(bits=bits), info(), packed={"codes": bits})
        artifact = load_artifact(tmp_path / str(bits))
        sizes[bits] = artifact.size_bytes
        assert artifact.size_bytes == artifact.manifest.size_bytes
    assert sizes[2] < sizes[4] < sizes[8]


def test_onnx_export_is_one_self_contained_file(tmp_path, x):
    model = quantized_model()
    save_artifact(tmp_path / "m", model, info(), packed={"codes": 4})
    path = load_artifact(tmp_path / "m").export(tmp_path / "out" / "model.onnx")
    exported = onnx.load(str(path))
    onnx.checker.check_model(exported)
    np.testing.assert_array_equal(reference_output(exported, x), reference_output(model, x))


def test_openvino_export_computes_the_same(tmp_path, x):
    import openvino

    model = quantized_model()
    save_artifact(tmp_path / "m", model, info(), packed={"codes": 4})
    path = load_artifact(tmp_path / "m").export(tmp_path / "model", to="openvino")
    assert path.with_suffix(".bin").exists()
    compiled = openvino.Core().compile_model(
        str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32", **settings_of("openvino")}
    )
    np.testing.assert_allclose(compiled([x])[0], reference_output(model, x), rtol=1e-4, atol=1e-4)


def test_an_unknown_format_names_the_nearest(tmp_path):
    save_artifact(tmp_path / "m", quantized_model(), info())
    with pytest.raises(ArtifactError, match="did you mean 'openvino'"):
        load_artifact(tmp_path / "m").export(tmp_path / "x", to="openvin")


def test_loading_and_predicting_need_neither_torch_nor_the_search(tmp_path):
    save_artifact(tmp_path / "m", quantized_model(), info(), packed={"codes": 4})
    code = (
        "import sys, numpy as np\n"
        "from automl.artifact.load import load_artifact\n"
        f"y = load_artifact({str(tmp_path / 'm')!r}).predict(np.ones((1, {INPUTS}), np.float32))\n"
        "assert y.shape == (1, 10)\n"
        "bad = {'torch', 'ray', 'optuna', 'automl.strategies', 'automl.engine'} & set(sys.modules)\n"
        "assert not bad, bad\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
