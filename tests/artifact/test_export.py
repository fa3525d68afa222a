from __future__ import annotations

import onnx
import pytest

from automl.artifact.export import write_onnx
from automl.artifact.export import write_openvino
from automl.core.errors import ArtifactError
from tests.artifact.models import quantized_model


def test_onnx_file_appears_whole(tmp_path):
    path = write_onnx(quantized_model(), tmp_path / "deep" / "m.onnx")
    onnx.checker.check_model(onnx.load(str(path)))
    assert [p.name for p in path.parent.iterdir()] == ["m.onnx"]


def test_openvino_keeps_float_weights_in_f32(tmp_path):
    path = write_openvino(quantized_model(), tmp_path / "m.xml")
    head = 40 * 10 * 4
    assert path.with_suffix(".bin").stat().st_size >= 48 * 40 + head


@pytest.mark.parametrize("write", [write_onnx, write_openvino])
def test_a_path_that_cannot_be_written_is_one_sentence(tmp_path, write):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="cannot write"):
        write(quantized_model(), tmp_path / "file" / "m.xml")
