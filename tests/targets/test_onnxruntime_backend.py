"""The backend inside this process: shapes, batches and the profile's way back to the model's names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from automl.core.errors import EvaluationError
from automl.targets.onnxruntime_backend import OnnxRuntimeBackend
from automl.targets.onnxruntime_backend import _origin
from automl.targets.qdq import apply_plan

if TYPE_CHECKING:
    from pathlib import Path

    from tests.targets.conftest import Small


@pytest.fixture(scope="module")
def file(small: Small, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "m.onnx"
    plan = small.plan(dict.fromkeys(("stem", "left", "wide", "hidden"), "w8a8"))
    path.write_bytes(apply_plan(small.base, plan, "onnxruntime").SerializeToString())
    return path


def test_a_symbolic_batch_is_fixed_to_the_shapes(small: Small, file: Path) -> None:
    backend = OnnxRuntimeBackend(1)
    model = backend.load(str(file), float_type="f32", shapes=[[4, 3, 16, 16]], profile=False)
    (outputs,) = model.run([small.images[:4]])
    assert outputs.shape == (4, 10)
    model.bind([small.images[:4]])()


def test_other_numbers_of_inputs_and_types_are_refused(file: Path) -> None:
    backend = OnnxRuntimeBackend(1)
    with pytest.raises(EvaluationError, match="takes 1 inputs, got 2"):
        backend.load(str(file), float_type="f32", shapes=[[1, 3, 16, 16]] * 2, profile=False)
    with pytest.raises(EvaluationError, match="not in bf16"):
        backend.load(str(file), float_type="bf16", shapes=[[1, 3, 16, 16]], profile=False)


def test_the_profile_names_the_sites_of_the_graph(small: Small, file: Path) -> None:
    backend = OnnxRuntimeBackend(1)
    model = backend.load(str(file), float_type="f32", shapes=[[1, 3, 16, 16]], profile=True)
    nodes = model.profile([small.images[:1]], 5)
    assert all(n["ms"] >= 0 for n in nodes)
    assert np.sum([n["ms"] for n in nodes]) > 0
    # A layer fused with its activation carries the activation's name, which is a value of the graph too.
    values = {n.name for n in small.traced.graph.nodes}
    layers = [n for n in nodes if "Conv" in n["op"] or "Gemm" in n["op"]]
    assert len(layers) == 5
    assert all(set(n["origins"]) <= values for n in layers), layers
    by_site = {n.site: n.name for n in small.traced.graph.nodes if n.site}
    assert by_site["wide"] in {origin for n in layers for origin in n["origins"]}
    assert {"u8", "i8"} & {n["precision"] for n in nodes}


def test_names_of_optimized_nodes_lead_back_to_the_graph() -> None:
    names = ("relu_nchwc", "fused linear", "conv2d_1_quant", "relu.q0/DQ", "relu_token_3", "conv2d")
    assert [_origin(n) for n in names] == ["relu", "linear", "conv2d_1", "relu", "relu", "conv2d"]
