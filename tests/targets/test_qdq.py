"""A plan written into the graph computes what the plan says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator

from automl.core.errors import EvaluationError
from automl.core.errors import TargetError
from automl.targets.qdq import apply_plan
from automl.targets.qdq import packed_bits
from automl.transforms.materialize import materialize
from automl.transforms.plan import ActivationQuantizer
from automl.transforms.plan import QuantizationPlan
from automl.transforms.plan import QuantizedWeight

if TYPE_CHECKING:
    from tests.targets.conftest import Small

ALL = dict.fromkeys(("stem", "left", "wide", "hidden", "head"), "w8a8")
MIXED = {"stem": "fp", "left": "w8a8", "wide": "w4a8", "hidden": "w4g64", "head": "w8"}


def _run(model: onnx.ModelProto, images: np.ndarray) -> np.ndarray:
    onnx.checker.check_model(model)
    return ReferenceEvaluator(model).run(None, {model.graph.input[0].name: images})[0]


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("precisions", [ALL, MIXED], ids=["all", "mixed"])
def test_edited_graph_equals_the_materialized_model(
    small: Small, precisions: dict[str, str], runtime: str
) -> None:
    plan = small.plan(precisions)
    with torch.no_grad():
        expected = materialize(small.traced, plan)(torch.from_numpy(small.images)).numpy()
    got = _run(apply_plan(small.base, plan, runtime), small.images)
    assert np.abs(got - expected).max() < 0.02 * np.abs(expected).max()
    assert np.abs(expected - small.logits).max() > 1e-4


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_reads_of_a_copied_value_are_quantized_though_the_exporter_leaves_copies_out(
    heads: Small, runtime: str
) -> None:
    plan = heads.plan({"out": "w8a8"})
    copied = {n.name for n in heads.traced.graph.nodes if n.op == "clone"}
    assert copied & {value for value, _ in plan.edges}
    with torch.no_grad():
        expected = materialize(heads.traced, plan)(torch.from_numpy(heads.images)).numpy()
    got = _run(apply_plan(heads.base, plan, runtime), heads.images)
    assert np.abs(got - expected).max() < 0.02 * np.abs(expected).max()


def test_base_is_untouched_by_an_edit(small: Small) -> None:
    before = small.base.to_model().SerializeToString()
    apply_plan(small.base, small.plan(ALL), "openvino")
    assert small.base.to_model().SerializeToString() == before


def test_quantizer_moves_above_a_zero_padding(small: Small) -> None:
    model = apply_plan(small.base, small.plan(ALL), "openvino")
    producer = {o: n for n in model.graph.node for o in n.output}
    pads = [n for n in model.graph.node if n.op_type == "Pad"]
    assert [producer[p.input[0]].op_type for p in pads] == ["DequantizeLinear"]


def test_weights_become_small(small: Small) -> None:
    floats = len(small.base.to_model().SerializeToString())
    w8 = apply_plan(small.base, small.plan(ALL), "openvino")
    sizes = {t.name: t for t in w8.graph.initializer}
    assert sizes["wide.weight.n.codes"].data_type == onnx.TensorProto.INT8
    assert len(w8.SerializeToString()) < 0.6 * floats
    w4 = apply_plan(small.base, small.plan({"hidden": "w4g64"}), "openvino")
    codes = next(t for t in w4.graph.initializer if t.name.startswith("hidden.weight") and ".codes" in t.name)
    assert codes.data_type == onnx.TensorProto.INT4
    assert len(codes.raw_data) == 64 * 32 // 2


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("site", ["head", "left"])
def test_corrected_bias_is_added(small: Small, site: str, runtime: str) -> None:
    plan = small.plan({site: "w8a8"})
    old = plan.weights[site]
    bias = np.linspace(-3, 3, len(old.codes)).astype(np.float32)
    weight = QuantizedWeight(old.codes, old.scale, 8, 0, bias)
    corrected = QuantizationPlan({site: weight}, plan.edges)
    with torch.no_grad():
        expected = materialize(small.traced, corrected)(torch.from_numpy(small.images)).numpy()
    got = _run(apply_plan(small.base, corrected, runtime), small.images)
    assert np.abs(got - expected).max() < 0.02 * np.abs(expected).max()


def test_impossible_plans_are_refused(small: Small) -> None:
    quantizer = ActivationQuantizer(0.1, 0)
    with pytest.raises(EvaluationError, match="'no_value'"):
        apply_plan(small.base, QuantizationPlan({}, {("no_value", "relu"): quantizer}), "openvino")
    with pytest.raises(EvaluationError, match="does not read"):
        apply_plan(small.base, QuantizationPlan({}, {("x", "relu"): quantizer}), "openvino")
    old = small.plan({"hidden": "w8"}).weights["hidden"]
    biased = QuantizedWeight(old.codes, old.scale, 8, 0, np.ones(32, np.float32))
    with pytest.raises(EvaluationError, match="adds no bias"):
        apply_plan(small.base, QuantizationPlan({"hidden": biased}, {}), "openvino")
    weight = small.plan({"head": "w8"}).weights["head"]
    with pytest.raises(EvaluationError, match="did you mean 'head'"):
        apply_plan(small.base, QuantizationPlan({"hea": weight}, {}), "openvino")
    with pytest.raises(TargetError, match="did you mean 'openvino'"):
        apply_plan(small.base, QuantizationPlan({}, {}), "openvin")


def test_codes_below_eight_bits_are_named_with_their_bits(small: Small) -> None:
    plan = small.plan({"left": "w4a8", "wide": "w8a8", "hidden": "w4g64"})
    packed = packed_bits(plan, apply_plan(small.base, plan, "openvino"))
    assert set(packed.values()) == {4}
    assert {name.partition(".weight.")[0] for name in packed} == {"left"}


@pytest.mark.parametrize(("runtime", "inputs"), [("openvino", 3), ("onnxruntime", 2)])
def test_an_integer_product_without_bias_gets_one_that_changes_nothing_for_openvino(
    small: Small, runtime: str, inputs: int
) -> None:
    model = apply_plan(small.base, small.plan(ALL), runtime)
    (node,) = [n for n in model.graph.node if "hidden.weight.n.out" in n.input]
    assert (node.op_type, len(node.input)) == ("Gemm", inputs)
    # Weights alone leave the product in float, where nothing goes wrong.
    float_model = apply_plan(small.base, small.plan({"hidden": "w8"}), runtime)
    (node,) = [n for n in float_model.graph.node if "hidden.weight.n.out" in n.input]
    assert len(node.input) == 2
    if runtime == "openvino":
        (filled,) = [t for t in model.graph.initializer if t.name == "hidden.bias.none"]
        values = onnx.numpy_helper.to_array(filled)
        assert len(set(values.tolist())) == len(values) == 32
        assert 0 < np.abs(values).max() < 1e-20
