import pytest
import torch

from automl.models.loading import load_model
from automl.stages import traced as module
from automl.stages.traced import trace_and_export
from tests.digits import build


@pytest.fixture(scope="module")
def model():
    network, example = build()
    return load_model(network, input_shapes=(tuple(example.shape),))


@pytest.fixture(scope="module")
def stored(model, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    return cache, trace_and_export(model, cache, lambda step: None)


def refuse(*arguments):
    raise AssertionError("the model was traced although it was stored")


def test_a_second_run_neither_traces_nor_exports(stored, model, monkeypatch):
    cache, (traced, base) = stored
    monkeypatch.setattr(module, "trace_model", refuse)
    monkeypatch.setattr(module, "export_onnx", refuse)
    steps = []
    again, base_again = trace_and_export(model, cache, steps.append)
    assert steps == ["trace", "export"]
    assert again.graph == traced.graph
    assert base_again.to_model().SerializeToString() == base.to_model().SerializeToString()
    x = torch.randn(3, 1, 8, 8)
    torch.testing.assert_close(again.module(x), traced.module(x), rtol=0, atol=0)


def test_a_model_with_other_weights_is_another_entry(stored, model):
    network, example = build()
    with torch.no_grad():
        network.head.bias[0] += 1
    other = load_model(network, input_shapes=(tuple(example.shape),))
    trace_and_export(other, stored[0], lambda step: None)
    assert len(list((stored[0] / "traced").iterdir())) == 2


@pytest.mark.parametrize("file", ["program.pt2", "graph.json", "base.json"])
def test_a_damaged_entry_is_written_anew(model, tmp_path, file):
    trace_and_export(model, tmp_path, lambda step: None)
    (folder,) = (tmp_path / "traced").iterdir()
    (folder / file).write_bytes(b"damaged")
    traced, _ = trace_and_export(model, tmp_path, lambda step: None)
    assert len(traced.graph.sites) == 6
    assert (folder / file).read_bytes() != b"damaged"


def test_a_cache_that_cannot_be_written_is_done_without(model, tmp_path):
    (tmp_path / "traced").write_text("a file where the folder should be")
    traced, _ = trace_and_export(model, tmp_path, lambda step: None)
    assert len(traced.graph.sites) == 6
