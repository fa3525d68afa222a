"""Small deployed graphs for the tests of this room."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto
from onnx import helper
from onnx import numpy_helper

from automl.artifact.manifest import ArtifactInfo
from automl.core.candidate import Candidate
from automl.core.measurement import Measurement
from automl.core.measurement import Metric

INPUTS = 48
HIDDEN = 40
CLASSES = 10


def quantized_model(*, bits: int = 4, batch: int | str = "n", seed: int = 0) -> onnx.ModelProto:
    """Return float input -> int8 codes x scale -> matmul -> relu -> float matmul."""
    rng = np.random.default_rng(seed)
    half = 1 << (bits - 1)
    codes = rng.integers(-half, half, size=(INPUTS, HIDDEN), dtype=np.int8)
    scale = rng.uniform(0.01, 0.1, size=HIDDEN).astype(np.float32)
    head = rng.normal(size=(HIDDEN, CLASSES)).astype(np.float32)
    nodes = [
        helper.make_node("DequantizeLinear", ["codes", "scale", "zero"], ["weight"], axis=1),
        helper.make_node("MatMul", ["x", "weight"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("MatMul", ["active", "head"], ["y"]),
    ]
    initializers = [
        numpy_helper.from_array(codes, "codes"),
        numpy_helper.from_array(scale, "scale"),
        numpy_helper.from_array(np.zeros(HIDDEN, np.int8), "zero"),
        numpy_helper.from_array(head, "head"),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, INPUTS])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, CLASSES])],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model)
    return model


def reference_output(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    """Return what the graph computes, by numpy alone."""
    values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    weight = values["codes"].astype(np.float32) * values["scale"]
    return np.maximum(x @ weight, 0) @ values["head"]


def settings_of(target: str) -> dict[str, str]:
    """Return settings that keep activations of weight-only layers in float."""
    return {"DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"} if target.startswith("openvino") else {}


def info(
    *, name: str = "tiny", target: str = "openvino", float_type: str = "f32", bits: int = 4
) -> ArtifactInfo:
    """Return plausible facts of a run."""
    option = f"w{bits}a8"
    return ArtifactInfo(
        name=name,
        candidate=Candidate.of({"precision:fc1": option, "float:model": float_type}),
        precisions={"fc1": option, "fc2": "fp"},
        float_type=float_type,
        target=target,
        runtime="OpenVINO 2026.4",
        threads=1,
        settings=settings_of(target),
        measurement=Measurement(
            {
                "latency_ms": Metric(3.25, "ms", 3.1, 3.4, 50),
                "accuracy": Metric(0.872, "", 0.84, 0.90, 500),
                "size_bytes": Metric(4_210_000, "B"),
            }
        ),
        baseline=Measurement({"latency_ms": Metric(6.5, "ms", 6.4, 6.6, 50)}),
        budgets={"latency=0.6x": True, "size=4MB": False},
        config={"seed": 0, "budget": ["latency=0.6x"]},
        versions={"onnx": "1.23"},
        machine={"cpu": "test", "cores": 2},
        commit="abc1234",
        created="2026-01-01T00:00:00Z",
        notes=("w4g64 was struck out at conv sites",),
    )
