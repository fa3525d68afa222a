from __future__ import annotations

import pickle
import zipfile

import pytest
import safetensors.torch
import torch
from torch import nn

from automl.core.errors import ModelError
from automl.models.checkpoint import load_weights
from automl.models.checkpoint import read_safetensors


def _module():
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))


def _tensors():
    generator = torch.Generator().manual_seed(3)
    return {
        k: torch.randn(v.shape, generator=generator)
        for k, v in _module().state_dict().items()
        if v.is_floating_point()
    }


def _sentence(error):
    assert "\n" not in str(error.value)
    return str(error.value)


def test_weights_are_loaded_without_batch_counters(tmp_path):
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file(_tensors(), path)
    module = _module()
    load_weights(module, path, "m")
    assert torch.equal(module[0].weight, _tensors()["0.weight"])
    assert torch.equal(module[1].running_mean, _tensors()["1.running_mean"])


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"gone\.safetensors' does not exist"):
        read_safetensors(tmp_path / "gone.safetensors")


@pytest.mark.parametrize("new_format", [True, False])
def test_torch_save_under_a_safetensors_name_is_refused(tmp_path, new_format):
    path = tmp_path / "w.safetensors"
    torch.save(_tensors(), path, _use_new_zipfile_serialization=new_format)
    with pytest.raises(ModelError, match="is a pickle") as error:
        read_safetensors(path)
    assert "safetensors.torch.save_file" in _sentence(error)


class Bomb:
    def __reduce__(self):
        return (print, ("exploded",))


def test_plain_pickle_is_refused_and_not_run(tmp_path, capsys):
    path = tmp_path / "w.safetensors"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ModelError, match="is a pickle"):
        read_safetensors(path)
    assert capsys.readouterr().out == ""


def test_zip_is_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"b")
    with pytest.raises(ModelError, match="is a pickle"):
        read_safetensors(path)


@pytest.mark.parametrize("cut", [0, 4, 40, -7])
def test_truncated_file_is_refused(tmp_path, cut):
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file(_tensors(), path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ModelError, match="cannot be read as safetensors") as error:
        read_safetensors(path)
    _sentence(error)


def test_missing_and_unknown_names_are_counted_and_the_nearest_named(tmp_path):
    tensors = _tensors()
    tensors["0.weights"] = tensors.pop("0.weight")
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file(tensors, path)
    with pytest.raises(
        ModelError, match=r"1 names are missing and 1 are unknown, '0\.weight' is missing"
    ) as error:
        load_weights(_module(), path, "m")
    assert "did you mean '0.weights'" in _sentence(error)


def test_wrong_shape_names_both_shapes(tmp_path):
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file({**_tensors(), "0.weight": torch.zeros(3, 5)}, path)
    with pytest.raises(ModelError, match=r"'0\.weight' has shape \(3, 5\).*\(3, 4\)"):
        load_weights(_module(), path, "m")


def test_a_tied_weight_may_be_stored_once(tmp_path):
    module = nn.ModuleDict({"a": nn.Linear(3, 3, bias=False), "b": nn.Linear(3, 3, bias=False)})
    module["b"].weight = module["a"].weight
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file({"a.weight": torch.eye(3)}, path)
    load_weights(module, path, "m")
    assert torch.equal(module["b"].weight, torch.eye(3))
