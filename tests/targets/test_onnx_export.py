"""The export computes what torch computes, and its names lead back to the model graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import torch
from onnx.reference import ReferenceEvaluator
from torch import nn

from automl.searchspaces.trace import trace_model
from automl.targets.onnx_export import export_onnx

if TYPE_CHECKING:
    from tests.targets.conftest import Small


def test_export_agrees_with_torch_at_another_batch_size(small: Small) -> None:
    model = small.base.to_model()
    onnx.checker.check_model(model)
    (got,) = ReferenceEvaluator(model).run(None, {model.graph.input[0].name: small.images})
    np.testing.assert_allclose(got, small.logits, rtol=1e-4, atol=1e-4)


def test_every_value_of_the_model_graph_is_found(small: Small) -> None:
    assert small.base.unresolved == ()
    assert small.base.dynamic_batch


def test_sites_lead_to_their_weights(small: Small) -> None:
    assert set(small.base.uses) == {"stem", "left", "wide", "hidden", "head"}
    for site, uses in small.base.uses.items():
        (use,) = uses
        stored = small.base.constants[use.weight]
        expected = small.traced.module.get_parameter(f"{site}.weight").detach().numpy()
        np.testing.assert_array_equal(stored.T if use.transposed else stored, expected)
    assert small.base.uses["hidden"][0].bias is None
    assert small.base.uses["stem"][0].bias is not None


def test_onnx_nodes_are_named_after_the_values_they_compute(small: Small) -> None:
    produced = {n.name: n for n in small.base.skeleton.graph.node}
    for node in small.traced.graph.nodes:
        if node.op not in ("input", "constant", "output"):
            assert small.base.values[node.name] in produced[node.name].output


def test_masks_made_with_the_least_float_stay_finite_in_bfloat16() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return torch.softmax(self.fc(x) + (1.0 - mask) * torch.finfo(torch.float32).min, dim=-1)

    model, inputs = Masked().eval(), (torch.randn(2, 4), torch.tensor([[1.0, 1, 0, 0], [1, 1, 1, 1]]))
    graph = export_onnx(trace_model(model, inputs)).to_model()
    stored = [
        onnx.numpy_helper.to_array(a.t) for n in graph.graph.node for a in n.attribute if a.name == "value"
    ]
    least = min(float(a.min()) for a in stored if a.dtype == np.float32)
    assert least < -3.38e38
    assert torch.isfinite(torch.tensor(least).bfloat16())
    names = [i.name for i in graph.graph.input]
    (got,) = ReferenceEvaluator(graph).run(None, dict(zip(names, (t.numpy() for t in inputs), strict=True)))
    np.testing.assert_allclose(got, model(*inputs).detach().numpy(), rtol=1e-5, atol=1e-6)
