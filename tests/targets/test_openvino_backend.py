"""The backend inside this process: shapes, batches and the profile's way back to the model's names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from automl.core.errors import EvaluationError
from automl.targets.openvino_backend import OpenVinoBackend
from automl.targets.openvino_backend import _origins
from automl.targets.qdq import apply_plan

if TYPE_CHECKING:
    from pathlib import Path

    from tests.targets.conftest import Small


@pytest.fixture(scope="module")
def file(small: Small, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "m.onnx"
    path.write_bytes(apply_plan(small.base, small.plan({"left": "w8a8"}), "openvino").SerializeToString())
    return path


@pytest.fixture(scope="module")
def backend() -> OpenVinoBackend:
    return OpenVinoBackend(1)


def test_the_default_float_type_comes_first(backend: OpenVinoBackend) -> None:
    info = backend.info()
    assert info["runtime"].startswith("openvino ")
    assert info["float_types"][0] == info["default_float"]
    assert len(set(info["float_types"])) == len(info["float_types"])
    assert "f32" in info["float_types"]


def test_the_model_is_compiled_for_the_batch_of_the_shapes(
    backend: OpenVinoBackend, small: Small, file: Path
) -> None:
    model = backend.load(str(file), float_type="f32", shapes=[[4, 3, 16, 16]], profile=False)
    assert model.batch == 4
    (first,) = model.run([small.images[:4]])
    kept = first.copy()
    (second,) = model.run([small.images[4:]])
    assert first.shape == (4, 10)
    # Outputs are copies: the second run leaves the first one's alone.
    np.testing.assert_array_equal(first, kept)
    assert not np.array_equal(first, second)


def test_another_number_of_inputs_is_refused(backend: OpenVinoBackend, file: Path) -> None:
    with pytest.raises(EvaluationError, match="takes 1 inputs, got 2"):
        backend.load(str(file), float_type="f32", shapes=[[1, 3, 16, 16]] * 2, profile=False)


def test_the_profile_is_in_execution_order_and_names_the_sites(
    backend: OpenVinoBackend, small: Small, file: Path
) -> None:
    model = backend.load(str(file), float_type="f32", shapes=[[1, 3, 16, 16]], profile=True)
    nodes = model.profile([small.images[:1]], 5)
    by_site = {n.site: n.name for n in small.traced.graph.nodes if n.site}
    order = [origin for n in nodes for origin in n["origins"]]
    places = [order.index(by_site[site]) for site in ("stem", "left", "wide", "head")]
    assert places == sorted(places)
    assert sum(n["ms"] for n in nodes) > 0


def test_fused_layers_are_the_graphs_own_values_once_each() -> None:
    assert _origins("conv2d/WithoutBiases,relu.q1,relu.q2,Multiply_123,n12_3,stem.weight.scale") == [
        "conv2d",
        "relu",
    ]
    assert _origins("") == []
