from __future__ import annotations

import sys

import pytest
import safetensors.torch
import torch
from torch import nn

from automl.core.errors import ModelError
from automl.models.loading import load_model
from automl.models.zoo import build_timm

_SOURCE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(6, 4)
    def forward(self, x):
        return self.a(x)

def build():
    return Net()

def build_with_examples():
    return Net(), torch.ones(1, 6)

def build_two_inputs():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(9, 4)
            self.example_inputs = (torch.tensor([[1, 2, 3]]), torch.ones(1, 4))
        def forward(self, ids, x):
            return self.table(ids).sum(1) + x
    return Two()

def needs_argument(width):
    return Net()

def returns_text():
    return "net"

def build_nan():
    net = Net()
    with torch.no_grad():
        net.a.weight.fill_(float("nan"))
    return net
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_models_here.py").write_text(_SOURCE)
    before = list(sys.path)
    yield "my_models_here"
    sys.modules.pop("my_models_here", None)
    assert sys.path == before


def test_function_of_the_working_directory_with_a_shape(package):
    model = load_model(f"{package}:build", input_shapes=((1, 6),))
    assert (model.name, model.task, model.input_shapes) == ("build", "generic", ((1, 6),))


def test_function_may_bring_its_example_inputs(package):
    assert load_model(f"{package}:build_with_examples").input_shapes == ((1, 6),)
    two = load_model(f"{package}:build_two_inputs")
    assert [t.dtype for t in two.example_inputs] == [torch.int64, torch.float32]


@pytest.mark.parametrize(
    ("function", "shapes", "says"),
    [
        ("build", None, r"give the shape with --input"),
        ("build", ((1, 7),), r"does not accept an input of shape 1x7 .*--input"),
        ("biuld", None, r"did you mean 'build'"),
        ("needs_argument", None, r"without arguments failed"),
        ("returns_text", None, r"returned a str"),
        ("build_nan", ((1, 6),), r"'a\.weight' holds 24 NaN"),
        ("build_two_inputs", ((1, 5), (1, 4)), r"integer example inputs"),
    ],
)
def test_function_that_cannot_serve_is_one_sentence(package, function, shapes, says):
    with pytest.raises(ModelError, match=says) as error:
        load_model(f"{package}:{function}", input_shapes=shapes)
    assert "\n" not in str(error.value)


def test_module_that_cannot_be_imported_is_named(package):
    with pytest.raises(ModelError, match=r"'nothing_here' cannot be imported"):
        load_model("nothing_here:build")


def test_timm_weights_of_a_file_are_used(tmp_path):
    module, _ = build_timm("resnet18", ((1, 3, 32, 32),))
    tensors = {k: v.clone() for k, v in module.state_dict().items()}
    tensors["fc.bias"] += 1
    safetensors.torch.save_file(tensors, tmp_path / "w.safetensors")
    model = load_model("timm:resnet18", input_shapes=((1, 3, 32, 32),), weights=tmp_path / "w.safetensors")
    assert torch.equal(model.module.fc.bias, tensors["fc.bias"])
    assert "random" not in model.source
    assert "w.safetensors" in model.source


def test_timm_without_weights_says_random():
    model = load_model("timm:resnet18", input_shapes=((1, 3, 32, 32),))
    assert "random weights" in model.source
    assert (model.task, model.n_classes) == ("image-classification", 1000)


def test_a_given_module_is_copied_and_keeps_its_state():
    module = nn.Sequential(nn.Linear(4, 2), nn.Dropout()).double().train()
    model = load_model(module, input_shapes=((1, 4),))
    assert module.training
    assert module[0].weight.dtype == torch.float64
    assert model.module[0].weight.dtype == torch.float32
    assert model.name == "Sequential"


def test_a_batch_of_examples_is_cut_to_one():
    module = nn.Linear(4, 2)
    module.example_inputs = (torch.ones(8, 4),)
    assert load_model(module).input_shapes == ((1, 4),)


def test_exported_program_is_loaded(tmp_path):
    path = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(nn.Linear(4, 2).eval(), (torch.ones(1, 4),)), path)
    model = load_model(str(path))
    assert (model.name, model.input_shapes) == ("net", ((1, 4),))
    assert "exported program" in model.source


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("efficientnet_lite7", "did you mean 'efficientnet_lite"),
        ("timm:resnet512", "unknown timm model 'resnet512'; did you mean 'resnet"),
        ("some/folder", "'some/folder' does not exist"),
        ("gone.pt2", r"'gone\.pt2' does not exist"),
    ],
)
def test_unknown_spec_is_one_sentence(spec, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=says) as error:
        load_model(spec)
    assert "\n" not in str(error.value)


def test_weights_alone_are_no_model(tmp_path):
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(ModelError, match="weights alone are no model"):
        load_model(str(path))


def test_weights_for_a_model_that_brings_its_own_are_refused(tmp_path):
    with pytest.raises(ModelError, match="brings its own weights"):
        load_model("efficientnet_lite0", weights=tmp_path / "w.safetensors")
