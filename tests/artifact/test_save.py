from __future__ import annotations

import json

import numpy as np
import pytest

from automl.artifact import save
from automl.artifact.load import load_artifact
from automl.artifact.save import save_artifact
from automl.core.errors import ArtifactError
from tests.artifact.models import info
from tests.artifact.models import quantized_model


def test_folder_holds_graph_weights_card_and_manifest(tmp_path):
    manifest = save_artifact(tmp_path / "a" / "b", quantized_model(), info(), packed={"codes": 4})
    names = {p.name for p in (tmp_path / "a" / "b").iterdir()}
    assert names == {"model.onnx", "weights.safetensors", "README.md", "manifest.json"}
    on_disk = json.loads((tmp_path / "a" / "b" / "manifest.json").read_text())
    assert on_disk["schema"] == 1
    assert on_disk["size_bytes"] == manifest.size_bytes
    assert manifest.direct is False


def test_nothing_is_left_beside_the_folder(tmp_path):
    save_artifact(tmp_path / "m", quantized_model(), info())
    save_artifact(tmp_path / "m", quantized_model(), info(), overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_equal_input_gives_equal_bytes(tmp_path):
    for name in ("a", "b"):
        save_artifact(tmp_path / name, quantized_model(), info(), packed={"codes": 4})
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_an_existing_folder_is_refused(tmp_path):
    save_artifact(tmp_path / "m", quantized_model(), info())
    with pytest.raises(ArtifactError, match="exists"):
        save_artifact(tmp_path / "m", quantized_model(), info())


def test_a_folder_that_is_no_artifact_is_never_overwritten(tmp_path):
    (tmp_path / "keep.txt").write_text("mine")
    with pytest.raises(ArtifactError, match="is not an artifact"):
        save_artifact(tmp_path, quantized_model(), info(), overwrite=True)
    assert (tmp_path / "keep.txt").read_text() == "mine"


def test_a_full_disk_leaves_the_old_artifact_whole(tmp_path, monkeypatch):
    save_artifact(tmp_path / "m", quantized_model(seed=1), info())
    real = save._write

    def full(path, content):
        if path.name == "manifest.json":
            raise OSError(28, "No space left on device")
        real(path, content)

    monkeypatch.setattr(save, "_write", full)
    with pytest.raises(ArtifactError, match="No space left on device"):
        save_artifact(tmp_path / "m", quantized_model(seed=2), info(), overwrite=True)
    load_artifact(tmp_path / "m")
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_a_parent_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="cannot write the artifact"):
        save_artifact(tmp_path / "file" / "m", quantized_model(), info())


def test_a_torch_program_is_stored_as_it_is(tmp_path):
    manifest = save_artifact(tmp_path / "m", b"program", info(target="torch"))
    assert (tmp_path / "m" / "weights.safetensors").read_bytes() == b"program"
    assert not (tmp_path / "m" / "model.onnx").exists()
    assert manifest.size_bytes == len(b"program")
    card = (tmp_path / "m" / "README.md").read_text()
    assert "openvino" not in card.partition("## Load")[2].partition("##")[0]
    artifact = load_artifact(tmp_path / "m")
    assert artifact.write(tmp_path / "copy").read_bytes() == b"program"
    with pytest.raises(ArtifactError, match="program"):
        artifact.predict(np.zeros((1, 2), np.float32))
