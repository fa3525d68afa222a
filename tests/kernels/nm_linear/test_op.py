from __future__ import annotations

import pytest
import torch

from automl.core.errors import KernelError
from automl.kernels.cases import mismatch
from automl.kernels.nm_linear.cases import arguments_of
from automl.kernels.nm_linear.cases import bound
from automl.kernels.nm_linear.op import nm_linear
from automl.kernels.nm_linear.reference import run

_CALL = arguments_of((3, 24, 6), "2:4", torch.float16, seed=1)
_OPERANDS = {k: _CALL[k] for k in ("x", "values", "mask")}


@pytest.mark.parametrize("preference", ["auto", "triton", "reference"])
def test_every_preference_gives_the_same_answer(preference):
    y = nm_linear(**_OPERANDS, preference=preference)
    assert mismatch(y, run(**_CALL), bound(_CALL)) is None


def test_the_cpu_is_refused_with_the_figure():
    with pytest.raises(KernelError, match=r"no N:M form beats the dense product on a CPU.*times as long"):
        nm_linear(**_OPERANDS, preference="cpu")


def test_leading_axes_stay():
    y = nm_linear(_CALL["x"][:, None], _CALL["values"], _CALL["mask"], x_scale=torch.ones(3, 1))
    assert y.shape == (3, 1, 6)


def test_the_operator_passes_the_library_checks():
    arguments = {**_CALL, "w_scale": torch.rand(6), "bias": torch.rand(6), "out_dtype": torch.float16}
    torch.library.opcheck(torch.ops.automl.nm_linear.default, (*arguments.values(), "reference"))


def test_it_is_one_node_of_an_exported_graph():
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("values", _CALL["values"])
            self.register_buffer("mask", _CALL["mask"])

        def forward(self, x):
            return nm_linear(x, self.values, self.mask)

    exported = torch.export.export(Net(), (_CALL["x"],))
    assert any("automl.nm_linear" in str(node.target) for node in exported.graph.nodes)
    assert torch.equal(exported.module()(_CALL["x"]), Net()(_CALL["x"]))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"x": _CALL["x"].float()}, "x of type float32; allowed: float16, bfloat16, int8"),
        ({"x": _CALL["x"].bfloat16()}, "values of type float16; allowed: bfloat16"),
        ({"mask": _CALL["mask"].int()}, "mask of type int32; allowed: uint8"),
        ({"mask": _CALL["mask"][:, :2]}, "mask of shape \\(6, 2\\)"),
        ({"values": _CALL["values"][:, :8]}, "values of shape \\(6, 8\\)"),
        ({"x": _CALL["x"][:, :0]}, "x of shape \\(3, 0\\)"),
        ({"x_scale": torch.ones(4)}, "x_scale of shape \\(4,\\)"),
        ({"x_scale": torch.ones(3).half()}, "x_scale of type float16"),
        ({"w_scale": torch.ones(5)}, "w_scale of shape \\(5,\\)"),
        ({"bias": torch.ones(5)}, "bias of shape \\(5,\\)"),
        ({"out_dtype": torch.int8}, "out_dtype=torch.int8"),
        ({"out_dtype": torch.int32}, "out_dtype=int32 with a scale, a bias or float values"),
        (
            {
                "x": torch.zeros(1, 262_140, dtype=torch.int8),
                "values": torch.zeros(1, 131_072, dtype=torch.int8),
                "mask": torch.zeros(1, 32_768, dtype=torch.uint8),
            },
            "k=262140; allowed: at most 262139",
        ),
    ],
)
def test_bad_input_is_named(changed, words):
    with pytest.raises(KernelError, match=words):
        nm_linear(**{**_OPERANDS, **changed})
