from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx import helper
from onnx import numpy_helper
from safetensors.numpy import load as load_safetensors

from automl.artifact.weights import attach_weights
from automl.artifact.weights import detach_weights
from automl.core.errors import ArtifactError
from tests.artifact.models import HIDDEN
from tests.artifact.models import INPUTS
from tests.artifact.models import quantized_model

FILE = "weights.safetensors"


def _values(model):
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


@pytest.mark.parametrize("bits", [2, 3, 4, 6, 8])
def test_attaching_restores_every_initializer(tmp_path, bits):
    model = quantized_model(bits=bits)
    graph, content = detach_weights(model, {"codes": bits}, FILE)
    (tmp_path / FILE).write_bytes(content)
    restored = attach_weights(graph, tmp_path / FILE)
    before, after = _values(model), _values(restored)
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert value.dtype == after[name].dtype
        assert np.array_equal(value, after[name])


def test_packed_codes_take_their_bits(tmp_path):
    _, content = detach_weights(quantized_model(bits=3), {"codes": 3}, FILE)
    tensors = load_safetensors(content)
    assert tensors["codes"].nbytes == INPUTS * HIDDEN * 3 // 8
    assert tensors["head"].dtype == np.float32


def test_nothing_is_stored_twice():
    model = quantized_model()
    graph, content = detach_weights(model, {"codes": 4}, FILE)
    assert len(graph.SerializeToString()) < 1500
    assert len(content) < INPUTS * HIDDEN // 2 + HIDDEN * 40 + 600


def test_the_input_model_is_not_changed():
    model = quantized_model()
    before = model.SerializeToString()
    detach_weights(model, {"codes": 4}, FILE)
    assert model.SerializeToString() == before


def test_a_graph_without_packed_tensors_runs_as_it_lies(tmp_path):
    import onnxruntime

    model = quantized_model(bits=8)
    graph, content = detach_weights(model, {}, FILE)
    (tmp_path / FILE).write_bytes(content)
    (tmp_path / "model.onnx").write_bytes(graph.SerializeToString())
    x = np.ones((2, INPUTS), np.float32)
    outside = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    inside = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert np.array_equal(outside.run(None, {"x": x})[0], inside.run(None, {"x": x})[0])


def test_four_bit_and_bfloat16_tensors_survive(tmp_path):
    model = quantized_model()
    nibbles = helper.make_tensor("nibbles", TensorProto.INT4, [64, 64], np.arange(4096) % 16 - 8)
    brain = helper.make_tensor("brain", TensorProto.BFLOAT16, [32, 32], np.linspace(-2, 2, 1024))
    model.graph.initializer.extend([nibbles, brain])
    graph, content = detach_weights(model, {}, FILE)
    (tmp_path / FILE).write_bytes(content)
    before, after = _values(model), _values(attach_weights(graph, tmp_path / FILE))
    assert np.array_equal(before["nibbles"].astype(np.int8), after["nibbles"].astype(np.int8))
    assert np.array_equal(before["brain"].astype(np.float32), after["brain"].astype(np.float32))


def test_packing_an_unknown_name_names_the_nearest():
    with pytest.raises(ArtifactError, match="did you mean 'codes'"):
        detach_weights(quantized_model(), {"code": 4}, FILE)


def test_packing_floats_is_refused():
    with pytest.raises(ArtifactError, match="'head' is FLOAT; only INT8"):
        detach_weights(quantized_model(), {"head": 4}, FILE)


def test_a_graph_that_refers_elsewhere_is_refused(tmp_path):
    graph, content = detach_weights(quantized_model(), {}, "../secret")
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(ArtifactError, match=r"\.\./secret"):
        attach_weights(graph, tmp_path / FILE)


def test_a_truncated_weight_file_is_refused(tmp_path):
    graph, content = detach_weights(quantized_model(), {}, FILE)
    (tmp_path / FILE).write_bytes(content[:-8])
    with pytest.raises(ArtifactError, match="refers to bytes"):
        attach_weights(graph, tmp_path / FILE)


def test_initializers_in_typed_fields_are_moved_too(tmp_path):
    model = quantized_model()
    model.graph.initializer.append(
        onnx.TensorProto(name="listed", data_type=TensorProto.FLOAT, dims=[512], float_data=range(512))
    )
    graph, content = detach_weights(model, {}, FILE)
    (tmp_path / FILE).write_bytes(content)
    assert _values(attach_weights(graph, tmp_path / FILE))["listed"].tolist() == list(range(512))
