from __future__ import annotations

import pytest
import torch

from automl.core.errors import KernelError
from automl.kernels.fake_quantize.op import fake_quantize
from tests.kernels.support import normal

_STEP = torch.tensor(0.25)


@pytest.mark.parametrize("preference", ["auto", "triton", "cpu", "reference"])
def test_every_preference_gives_the_same_value_and_gradient(preference):
    x = normal((4, 9), 3, scale=4.0).requires_grad_()
    y = fake_quantize(x, _STEP, low=-8, high=7, preference=preference)
    (y * y).sum().backward()
    codes = (x.detach() / _STEP).round()
    assert torch.equal(y.detach(), codes.clamp(-8, 7) * _STEP)
    assert torch.equal(x.grad, (2 * y.detach()).where((codes >= -8) & (codes <= 7), 0.0))


@pytest.mark.parametrize(
    ("granularity", "axis", "steps"), [("tensor", 0, ()), ("channel", -1, (40,)), ("group", 0, (6, 2))]
)
def test_the_operator_passes_the_library_checks(granularity, axis, steps):
    x = normal((6, 40), 5).requires_grad_()
    zero = torch.zeros(steps, dtype=torch.int32)
    arguments = (x, torch.full(steps, 0.1), zero, granularity, axis % 2, 32, -8, 7, "cpu")
    torch.library.opcheck(torch.ops.automl.fake_quantize.default, arguments)


def test_it_is_one_node_of_an_exported_graph():
    class Net(torch.nn.Module):
        def forward(self, x):
            return fake_quantize(x, torch.full((8,), 0.1), low=-8, high=7, granularity="channel", axis=1)

    exported = torch.export.export(Net(), (normal((4, 8), 1),))
    assert any("automl.fake_quantize" in str(node.target) for node in exported.graph.nodes)
    x = normal((4, 8), 2)
    assert torch.equal(exported.module()(x), Net()(x))


def test_a_negative_axis_counts_from_the_end():
    x, scale = normal((2, 3, 5), 1), torch.tensor([0.1, 0.2, 0.3])
    options = {"low": -8, "high": 7, "granularity": "channel"}
    assert torch.equal(
        fake_quantize(x, scale, axis=-2, **options), fake_quantize(x, scale, axis=1, **options)
    )


@pytest.mark.parametrize(
    ("x", "options", "words"),
    [
        (torch.zeros(2, 3, dtype=torch.int32), {}, "x of type int32; allowed: float32"),
        (torch.zeros(()), {}, "x of shape \\(\\)"),
        (torch.zeros(2, 0), {"granularity": "group"}, "x of shape \\(2, 0\\)"),
        (torch.zeros(2, 3), {"scale": torch.tensor(0.1).half()}, "scale of type float16"),
        (torch.zeros(2, 3), {"scale": torch.ones(2)}, "scale of shape \\(2,\\)"),
        (torch.zeros(2, 3), {"granularity": "row"}, "granularity=row; allowed: tensor, channel, group"),
        (torch.zeros(2, 3), {"granularity": "channel", "axis": 2}, "axis=2 .* allowed: -2 to 1"),
        (torch.zeros(2, 3), {"granularity": "group", "group": 0}, "group=0"),
        (torch.zeros(2, 3), {"low": 7, "high": 7}, "codes from 7 to 7"),
        (torch.zeros(2, 3), {"low": -40000}, "codes from -40000 to 7"),
        (torch.zeros(2, 3), {"zero": torch.tensor(0)}, "zero of type int64; allowed: int32"),
        (torch.zeros(2, 3), {"zero": torch.zeros(2, dtype=torch.int32)}, "zero of shape \\(2,\\)"),
        (torch.zeros(2, 3), {"scale": torch.tensor(torch.nan)}, "the element nan; allowed: positive finite"),
        (torch.zeros(2, 3), {"scale": torch.tensor(0.0)}, "the element 0.0; allowed: positive finite"),
        (torch.zeros(2, 3), {"preference": "tritn"}, "did you mean 'triton'"),
    ],
)
def test_bad_input_is_named(x, options, words):
    call = {"scale": _STEP, "low": -8, "high": 7, **options}
    with pytest.raises(KernelError, match=words):
        fake_quantize(x, **call)
