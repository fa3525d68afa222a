from __future__ import annotations

import torch

from automl.kernels.w8a16_linear.reference import run
from automl.kernels.weight_only.cases import make_arguments
from automl.kernels.weight_only.reference import dequantize
from automl.kernels.weight_only.weight import Weight


def test_it_is_the_linear_layer_of_the_dequantized_weight():
    a = make_arguments(8, (5, 40, 6, 16), "asymmetric", seed=1)
    weight = dequantize(Weight(8, a["codes"], a["scale"], a["zero"], None, 16, 40))
    assert torch.equal(run(**a), a["x"].double() @ weight.t())
