from __future__ import annotations

from typing import TYPE_CHECKING

from automl.targets.deployable import Deployable
from automl.targets.qdq import apply_plan

if TYPE_CHECKING:
    from tests.targets.conftest import Small


def test_a_graph_is_an_onnx_file_and_a_program_is_itself(small: Small) -> None:
    model = apply_plan(small.base, small.plan({}), "openvino")
    graph, program = Deployable(model), Deployable(b"content")
    assert (graph.suffix, program.suffix) == (".onnx", ".safetensors")
    assert graph.content == model.SerializeToString()
    assert program.content == b"content"
