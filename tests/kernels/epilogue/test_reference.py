from __future__ import annotations

import math

import torch

from automl.kernels.epilogue.reference import activate
from automl.kernels.epilogue.reference import finish


def test_activations_have_their_closed_forms():
    x = torch.tensor([-2.0, 0.0, 1.5], dtype=torch.float64)
    gelu = [0.5 * v * (1 + math.erf(v / math.sqrt(2))) for v in x.tolist()]
    silu = [v / (1 + math.exp(-v)) for v in x.tolist()]
    assert torch.allclose(activate(x, "gelu"), torch.tensor(gelu, dtype=torch.float64), atol=1e-15)
    assert torch.allclose(activate(x, "silu"), torch.tensor(silu, dtype=torch.float64), atol=1e-15)
    assert activate(x, "relu").tolist() == [0, 0, 1.5]
    assert activate(x, "none") is x


def test_the_residual_is_added_before_the_activation():
    product = torch.full((1, 2), -1.0, dtype=torch.float64)
    y = finish(product, torch.tensor([0.5, 0.5]), torch.tensor([[2.0, 0.25]]), "relu")
    assert y.tolist() == [[1.5, 0.0]]
