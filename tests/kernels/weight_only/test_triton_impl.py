from __future__ import annotations

import pytest
import torch

from automl.kernels.launch import LaunchConfig
from automl.kernels.weight_only.cases import kinds
from automl.kernels.weight_only.cases import make_arguments
from automl.kernels.weight_only.reference import dequantize
from automl.kernels.weight_only.triton_impl import _step
from automl.kernels.weight_only.triton_impl import builds
from automl.kernels.weight_only.triton_impl import product
from automl.kernels.weight_only.weight import Weight


@pytest.mark.parametrize(
    ("group", "step"), [(16, 128), (32, 32), (48, 128), (64, 64), (128, 128), (256, 128), (2**30, 128)]
)
def test_a_step_stays_inside_a_group_where_it_can(group, step):
    assert _step(LaunchConfig(16, 64, 128), group) == step


@pytest.mark.parametrize(("bits", "kind"), [(bits, kind) for bits in (4, 8) for kind in kinds(bits)])
def test_single_inputs_read_back_every_weight(bits, kind):
    # The identity picks out one weight at a time; float32 holds each to its last bit but one.
    a = make_arguments(bits, (70, 70, 21, 32), kind, seed=3)
    weight = Weight(bits, a["codes"], a["scale"], a["zero"], a["table"], a["group"], 70)
    y = product(torch.eye(70), weight, None, None, "none")
    assert torch.allclose(y.t().double(), dequantize(weight), rtol=2.0**-23, atol=0)


def test_builds_cover_the_kinds_of_both_widths():
    assert {b.constants["BITS"] for bits in (4, 8) for b in builds(bits)} == {4, 8}
    assert sum(b.constants["HAS_TABLE"] for b in builds(4)) == 3
