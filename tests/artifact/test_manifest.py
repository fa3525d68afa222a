from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from automl.artifact.manifest import FileRecord
from automl.artifact.manifest import Manifest
from automl.artifact.manifest import _self_digest
from automl.artifact.manifest import file_digest
from automl.artifact.manifest import package_versions
from automl.core.errors import ArtifactError
from tests.artifact.models import info

WHERE = Path("m/manifest.json")


def _manifest():
    files = {"model.onnx": FileRecord("a" * 64, 10), "weights.safetensors": FileRecord("b" * 64, 90)}
    return Manifest(info(), files, direct=True)


def _rewritten(change):
    body = json.loads(_manifest().dumps())
    del body["self_sha256"]
    change(body)
    return json.dumps({**body, "self_sha256": _self_digest(body)})


def test_text_returns_the_same_manifest():
    assert Manifest.loads(_manifest().dumps(), WHERE).dumps() == _manifest().dumps()


def test_size_counts_graph_and_weights_only():
    files = {**_manifest().files, "README.md": FileRecord("c" * 64, 5000)}
    assert Manifest(info(), files, direct=True).size_bytes == 100


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "a\\b"])
def test_file_names_cannot_leave_the_folder(name):
    text = _rewritten(lambda body: body["files"].update({name: {"sha256": "0", "bytes": 1}}))
    with pytest.raises(ArtifactError, match="plain names"):
        Manifest.loads(text, WHERE)


@pytest.mark.parametrize("field", ["candidate", "measurement", "files", "target"])
def test_a_missing_field_is_named(field):
    with pytest.raises(ArtifactError, match=field if field != "target" else "target"):
        Manifest.loads(_rewritten(lambda body: body.pop(field)), WHERE)


def test_a_graph_must_be_listed():
    with pytest.raises(ArtifactError, match=r"must list model.onnx"):
        Manifest.loads(_rewritten(lambda body: body["files"].pop("model.onnx")), WHERE)


def test_digest_is_sha256_of_the_content(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    assert file_digest(tmp_path / "f") == hashlib.sha256(b"abc").hexdigest()


def test_versions_are_those_installed():
    import numpy

    assert package_versions()["numpy"] == numpy.__version__
