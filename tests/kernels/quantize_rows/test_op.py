from __future__ import annotations

import pytest
import torch

from automl.core.errors import KernelError
from automl.kernels.quantize_rows.op import quantize_rows
from tests.kernels.support import normal


@pytest.mark.parametrize("preference", ["auto", "triton", "cpu", "reference"])
def test_every_preference_gives_the_same_answer(preference):
    x = normal((4, 9), 3)
    codes, scale = quantize_rows(x, preference=preference)
    assert codes.dtype == torch.int8
    assert torch.equal(codes, quantize_rows(x, preference="reference")[0])
    assert scale.shape == (4,)


@pytest.mark.parametrize("options", [{}, {"granularity": "tensor"}, {"fmt": "fp8_e4m3"}])
def test_the_operator_passes_the_library_checks(options):
    x = normal((2, 3, 8), 5)
    full = {"fmt": "int8", "granularity": "row", **options}
    arguments = (x, full["fmt"], full["granularity"], None, "cpu")
    torch.library.opcheck(torch.ops.automl.quantize_rows.default, arguments)


def test_it_is_one_node_of_an_exported_graph():
    class Net(torch.nn.Module):
        def forward(self, x):
            return quantize_rows(x)[0]

    exported = torch.export.export(Net(), (normal((4, 8), 1),))
    assert any("automl.quantize_rows" in str(node.target) for node in exported.graph.nodes)
    x = normal((4, 8), 2)
    assert torch.equal(exported.module()(x), quantize_rows(x)[0])


@pytest.mark.parametrize(
    ("x", "options", "words"),
    [
        (torch.zeros(2, 3, dtype=torch.int32), {}, "x of type int32; allowed: float32, float16, bfloat16"),
        (torch.zeros(2, 0), {}, "x of shape \\(2, 0\\)"),
        (torch.zeros(0, 3), {"granularity": "tensor"}, "at least one row per tensor"),
        (torch.zeros(2, 3), {"fmt": "int4"}, "fmt=int4; allowed: int8, fp8_e4m3"),
        (torch.zeros(2, 3), {"granularity": "column"}, "granularity=column"),
        (torch.zeros(2, 3), {"scale": torch.zeros(3)}, "scale of shape \\(3,\\)"),
        (torch.zeros(2, 3), {"scale": torch.zeros(2).half()}, "scale of type float16"),
        (torch.zeros(2, 3), {"zero": 3}, "zero=3; allowed: -128 to 127 beside a static scale"),
        (torch.zeros(2, 3), {"zero": 128, "scale": torch.ones(2)}, "zero=128; allowed"),
    ],
)
def test_bad_input_is_named(x, options, words):
    with pytest.raises(KernelError, match=words):
        quantize_rows(x, **options)


@pytest.mark.parametrize("preference", ["triton", "cpu", "reference"])
def test_a_zero_point_shifts_the_codes_and_saturates_after_it(preference):
    x = torch.tensor([[-300.0, -1.0, 0.0, 1.0, 300.0]])
    codes, _ = quantize_rows(
        x, granularity="tensor", scale=torch.tensor(1.0), zero=-100, preference=preference
    )
    assert codes.tolist() == [[-128, -101, -100, -99, 127]]
