import numpy as np
import onnxruntime
import pytest
import torch

from automl.core.errors import ModelError
from automl.searchspaces.trace import trace_model
from automl.transforms.materialize import dequantize
from automl.transforms.materialize import fake_quantize
from automl.transforms.materialize import materialize
from automl.transforms.plan import ActivationQuantizer
from automl.transforms.plan import QuantizationPlan
from automl.transforms.plan import QuantizedWeight
from tests.evaluators.minmax import MinMax
from tests.searchspaces.networks import conv_net


@pytest.fixture(scope="module")
def traced():
    model, inputs = conv_net()
    return trace_model(model, inputs)


@pytest.fixture(scope="module")
def x():
    return torch.randn(4, 3, 15, 15, generator=torch.Generator().manual_seed(1))


def full_plan(traced, x, float_type="f32"):
    maker = MinMax(traced, (x,))
    sites = [s.name for s in traced.graph.sites]
    edges = {}
    for site in sites:
        edges.update(maker.edges(site, "w8a8"))
    return QuantizationPlan({s: maker.weight(s, "w8a8") for s in sites}, edges, float_type)


def test_an_empty_plan_is_the_traced_module(traced, x):
    assert torch.equal(materialize(traced, QuantizationPlan({}, {}))(x), traced.module(x))


def test_the_result_is_independent_of_the_traced_module(traced, x):
    before = traced.module(x)
    model = materialize(traced, full_plan(traced, x))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert torch.equal(traced.module(x), before)


def test_values_are_quantized_as_onnx_does_half_to_even_and_clipped():
    x = torch.tensor([0.25, 0.75, -0.25, 1.25, -100.0, 1000.0])
    assert fake_quantize(x, 0.5, 10, 8).tolist() == [0.0, 1.0, 0.0, 1.0, -5.0, 122.5]


def test_dequantized_groups_broadcast_along_the_flattened_input_axis():
    codes = np.ones((2, 6), dtype=np.int8)
    scale = np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32)
    got = dequantize(QuantizedWeight(codes, scale, 4, group=4))
    assert got.tolist() == [[1, 1, 1, 1, 2, 2], [3, 3, 3, 3, 4, 4]]


def test_weights_are_the_dequantized_codes_and_a_corrected_bias_replaces_the_old(traced, x):
    weight = MinMax(traced, (x,)).weight("head", "w4a8")
    bias = np.arange(5, dtype=np.float32)
    plan = QuantizationPlan({"head": QuantizedWeight(weight.codes, weight.scale, 4, 0, bias)}, {})
    model = materialize(traced, plan)
    expected = weight.codes.astype(np.float32) * weight.scale[:, None]
    np.testing.assert_array_equal(model.get_parameter("head.weight").detach().numpy(), expected)
    np.testing.assert_array_equal(model.get_parameter("head.bias").detach().numpy(), bias)


def test_a_shared_quantized_read_is_one_node(traced, x):
    graph = traced.graph
    value = next(n.name for n in graph.nodes if len(graph.consumers[n.name]) == 2)
    q = ActivationQuantizer(0.1, 100)
    edges = dict.fromkeys([(value, c) for c in graph.consumers[value]], q)
    model = materialize(traced, QuantizationPlan({}, edges))
    assert sum(n.target is fake_quantize for n in model.graph.nodes) == 1


def test_it_equals_the_same_numbers_in_onnx_runtime(traced, x, tmp_path):
    model = materialize(traced, full_plan(traced, x))
    ours = model(x).detach().numpy()
    torch.onnx.export(
        model, (x,), tmp_path / "m.onnx", dynamo=True, external_data=False, verbose=False, optimize=False
    )
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    theirs = session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]
    np.testing.assert_allclose(theirs, ours, rtol=1e-3, atol=1e-3 * np.abs(ours).max())


def test_bf16_is_close_to_f32_but_not_equal(traced, x):
    exact = traced.module(x).detach()
    rounded = materialize(traced, QuantizationPlan({}, {}, "bf16"))(x).detach()
    gap = float((exact - rounded).abs().max() / exact.abs().max())
    assert 0 < gap < 0.05


def test_plans_that_do_not_fit_are_refused(traced, x):
    q = ActivationQuantizer(0.1, 0)
    maker = MinMax(traced, (x,))
    with pytest.raises(ModelError, match="unknown site"):
        materialize(traced, QuantizationPlan({"hed": maker.weight("head", "w8a8")}, {}))
    with pytest.raises(ModelError, match="unknown value"):
        materialize(traced, QuantizationPlan({}, {("nothing", "linear"): q}))
    with pytest.raises(ModelError, match="does not read it"):
        materialize(traced, QuantizationPlan({}, {("x", "linear"): q}))
    with pytest.raises(ModelError, match="has shape"):
        materialize(traced, QuantizationPlan({"stem": maker.weight("head", "w8a8")}, {}))
    with pytest.raises(ModelError, match="unknown float type"):
        materialize(traced, QuantizationPlan({}, {}, "f8"))
