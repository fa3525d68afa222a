from __future__ import annotations

import pickle
import zipfile

import pytest
import torch
from torch import nn

from automl.core.errors import ModelError
from automl.models.exported import load_exported


def _module():
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU()).eval()


@pytest.fixture
def saved(tmp_path):
    module = _module()
    path = tmp_path / "m.pt2"
    torch.export.save(torch.export.export(module, (torch.ones(1, 4),)), path)
    return path, module


class Bomb:
    def __reduce__(self):
        return (print, ("exploded",))


def _rewritten(path, change):
    """Write the archive again with ``change(name, content) -> content``."""
    with zipfile.ZipFile(path) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            archive.writestr(name, change(name, content))


def test_program_gives_the_outputs_of_its_module(saved):
    path, module = saved
    loaded, examples = load_exported(path)
    x = torch.randn(1, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(loaded(x), module(x))
    assert [tuple(t.shape) for t in examples] == [(1, 4)]


def test_pickled_object_among_the_sample_inputs_is_refused_and_not_run(saved, capsys):
    path, _ = saved
    changed = []

    def plant(name, content):
        if name.endswith(".pt"):
            changed.append(name)
            return pickle.dumps((Bomb(),))
        return content

    _rewritten(path, plant)
    assert changed
    with pytest.raises(ModelError, match="carries a pickled object"):
        load_exported(path)
    assert capsys.readouterr().out == ""


def test_pickled_weight_is_refused_and_not_run(saved, capsys):
    path, _ = saved
    changed = []

    def plant(name, content):
        if name.endswith("weights_config.json"):
            return content.replace(b'"use_pickle": false', b'"use_pickle": true')
        if "/weights/weight_" in name:
            changed.append(name)
            return pickle.dumps(Bomb())
        return content

    _rewritten(path, plant)
    assert changed
    with pytest.raises(ModelError, match="carries a pickled object"):
        load_exported(path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("cut", [0, 100, -200])
def test_truncated_file_is_refused_in_one_sentence(saved, cut):
    path, _ = saved
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ModelError, match="cannot be read as an exported program") as error:
        load_exported(path)
    assert "\n" not in str(error.value)


def test_other_zip_is_refused(tmp_path):
    path = tmp_path / "m.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hello.txt", "hello")
    with pytest.raises(ModelError, match="cannot be read as an exported program"):
        load_exported(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"gone\.pt2' does not exist"):
        load_exported(tmp_path / "gone.pt2")
