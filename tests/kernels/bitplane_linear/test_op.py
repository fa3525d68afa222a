from __future__ import annotations

import pytest
import torch

from automl.core.errors import KernelError
from automl.kernels.bitplane_linear.cases import arguments_of
from automl.kernels.bitplane_linear.op import bitplane_linear
from automl.kernels.bitplane_linear.planes_math import pack_planes
from automl.kernels.bitplane_linear.reference import run

_CALL = arguments_of((3, 40, 6), (2, 2), ("unsigned", "signed"), seed=1)


@pytest.mark.parametrize("preference", ["auto", "triton", "cpu", "reference"])
def test_every_preference_gives_the_same_sums(preference):
    total = bitplane_linear(
        _CALL["x"], _CALL["planes"], x_bits=2, out_dtype=torch.int32, preference=preference
    )
    assert torch.equal(total, run(**_CALL))


def test_leading_axes_stay():
    x = _CALL["x"].reshape(3, 1, 40)
    y = bitplane_linear(x, _CALL["planes"], x_bits=2, x_scale=torch.ones(3, 1), x_zero=torch.ones(3, 1).int())
    assert y.shape == (3, 1, 6)
    assert y.dtype == torch.float32


def test_the_operator_passes_the_library_checks():
    arguments = {**_CALL, "x_scale": torch.rand(3), "bias": torch.rand(6), "out_dtype": torch.float16}
    torch.library.opcheck(torch.ops.automl.bitplane_linear.default, (*arguments.values(), "cpu"))


def test_it_is_one_node_of_an_exported_graph():
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("planes", _CALL["planes"])

        def forward(self, x):
            return bitplane_linear(x, self.planes, x_bits=2)

    exported = torch.export.export(Net(), (_CALL["x"],))
    assert any("automl.bitplane_linear" in str(node.target) for node in exported.graph.nodes)
    assert torch.equal(exported.module()(_CALL["x"]), Net()(_CALL["x"]))


_LONG = pack_planes(torch.zeros(1, 33_026), 8, "unsigned")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"x": _CALL["x"].float()}, "x of type float32; allowed: uint8"),
        ({"x": _CALL["x"].to(torch.int8)}, "x of type int8; allowed: uint8"),
        ({"x": torch.zeros(3, 0, dtype=torch.uint8)}, "x of shape \\(3, 0\\)"),
        ({"x": torch.zeros(3, 70, dtype=torch.uint8)}, "planes of shape \\(2, 2, 6\\)"),
        ({"x": _CALL["x"] + 2}, "the input code 5 for 2 unsigned bits; allowed: 0 to 3"),
        ({"planes": _CALL["planes"].long()}, "planes of type int64; allowed: int32"),
        ({"planes": torch.zeros(9, 2, 6, dtype=torch.int32)}, "weight bits=9; allowed: 1, 2"),
        ({"x_bits": 9}, "x_bits=9; allowed: 1, 2"),
        ({"x_kind": "ternary"}, "x_kind=ternary; allowed: unsigned, signed, binary"),
        ({"w_kind": "binary"}, "weight bits=2; allowed: 1"),
        ({"x_scale": torch.ones(4)}, "x_scale of shape \\(4,\\)"),
        ({"w_scale": torch.ones(6).half()}, "w_scale of type float16"),
        ({"x_zero": torch.ones(3)}, "x_zero of type float32; allowed: int32"),
        ({"w_zero": torch.ones(6)}, "w_zero of type float32; allowed: int32"),
        ({"bias": torch.ones(5)}, "bias of shape \\(5,\\)"),
        ({"out_dtype": torch.int8}, "out_dtype=torch.int8"),
        ({"out_dtype": torch.int32, "bias": torch.ones(6)}, "int32 with a scale or bias"),
        (
            {
                "x": torch.zeros(1, 33_026, dtype=torch.uint8),
                "planes": _LONG,
                "x_bits": 8,
                "w_kind": "unsigned",
            },
            "k=33026; allowed: at most 33025",
        ),
    ],
)
def test_bad_input_is_named(changed, words):
    call = {"x": _CALL["x"], "planes": _CALL["planes"], "x_bits": 2, **changed}
    with pytest.raises(KernelError, match=words):
        bitplane_linear(**call)
