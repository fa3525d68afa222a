from __future__ import annotations

import json

import pytest

from automl.artifact.load import load_artifact
from automl.artifact.save import save_artifact
from automl.core.errors import ArtifactError
from tests.artifact.models import info
from tests.artifact.models import quantized_model


@pytest.fixture
def folder(tmp_path):
    save_artifact(tmp_path / "m", quantized_model(), info(), packed={"codes": 4})
    return tmp_path / "m"


def test_information_returns_as_it_was_saved(folder):
    assert load_artifact(folder).manifest.info.to_json() == info().to_json()


@pytest.mark.parametrize("name", ["model.onnx", "weights.safetensors", "README.md"])
def test_one_flipped_bit_is_named(folder, name):
    path = folder / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=rf"{name} was changed"):
        load_artifact(folder)


def test_a_truncated_file_is_named(folder):
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ArtifactError, match=r"weights.safetensors was changed"):
        load_artifact(folder)


@pytest.mark.parametrize("name", ["model.onnx", "weights.safetensors", "README.md"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ArtifactError, match=rf"{name} is missing"):
        load_artifact(folder)


def test_a_changed_manifest_is_refused(folder):
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace("0.872", "0.992"))
    with pytest.raises(ArtifactError, match=r"manifest.json was changed"):
        load_artifact(folder)


def test_an_unknown_schema_is_refused(folder):
    path = folder / "manifest.json"
    body = json.loads(path.read_text())
    path.write_text(json.dumps({**body, "schema": 99}))
    with pytest.raises(ArtifactError, match="schema 99; this version reads 1"):
        load_artifact(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00"])
def test_a_damaged_manifest_is_one_sentence(folder, text):
    (folder / "manifest.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"manifest.json"):
        load_artifact(folder)


def test_missing_folder_and_missing_manifest(tmp_path):
    with pytest.raises(ArtifactError, match="does not exist"):
        load_artifact(tmp_path / "nowhere")
    with pytest.raises(ArtifactError, match=r"has no manifest.json"):
        load_artifact(tmp_path)
