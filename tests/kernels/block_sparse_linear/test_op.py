from __future__ import annotations

import pytest
import torch

from automl.core.errors import KernelError
from automl.kernels.block_sparse_linear.cases import arguments_of
from automl.kernels.block_sparse_linear.cases import bound
from automl.kernels.block_sparse_linear.op import block_sparse_linear
from automl.kernels.block_sparse_linear.reference import run
from automl.kernels.cases import mismatch

_CALL = arguments_of((3, 70, 50), (16, 16), torch.float32, seed=1)
_OPERANDS = {k: _CALL[k] for k in ("x", "blocks", "starts", "columns", "outputs")}
_THIN = arguments_of((3, 70, 5), (1, 16), torch.float32, seed=1)


@pytest.mark.parametrize("preference", ["auto", "triton", "cpu", "reference"])
def test_every_preference_gives_the_same_answer(preference):
    y = block_sparse_linear(**_OPERANDS, preference=preference)
    assert mismatch(y, run(**_CALL), bound(_CALL)) is None


def test_blocks_of_one_channel_are_not_run_on_the_cpu():
    call = {k: _THIN[k] for k in _OPERANDS}
    with pytest.raises(KernelError, match="1x16 blocks leave no dense product on a CPU"):
        block_sparse_linear(**call, preference="cpu")
    assert mismatch(block_sparse_linear(**call), run(**_THIN), bound(_THIN)) is None


def test_leading_axes_stay():
    y = block_sparse_linear(**{**_OPERANDS, "x": _CALL["x"][:, None]}, bias=torch.zeros(50))
    assert y.shape == (3, 1, 50)


def test_the_operator_passes_the_library_checks():
    arguments = {**_CALL, "bias": torch.rand(50), "out_dtype": torch.float16}
    torch.library.opcheck(torch.ops.automl.block_sparse_linear.default, (*arguments.values(), "cpu"))


def test_it_is_one_node_of_an_exported_graph():
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            for name in ("blocks", "starts", "columns"):
                self.register_buffer(name, _CALL[name])

        def forward(self, x):
            return block_sparse_linear(x, self.blocks, self.starts, self.columns, outputs=50)

    exported = torch.export.export(Net(), (_CALL["x"],))
    assert any("automl.block_sparse_linear" in str(node.target) for node in exported.graph.nodes)
    assert torch.equal(exported.module()(_CALL["x"]), Net()(_CALL["x"]))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"x": _CALL["x"].int()}, "x of type int32; allowed: float32, float16, bfloat16"),
        ({"x": _CALL["x"].half()}, "blocks of type float32; allowed: float16"),
        ({"x": _CALL["x"][:, :0]}, "x of shape \\(3, 0\\)"),
        ({"outputs": 0}, "outputs=0"),
        ({"outputs": 65}, "starts of shape \\(5,\\)"),
        ({"blocks": _CALL["blocks"][:, :8]}, "block shape=16x8; allowed: 16x16, 32x32, 64x64, 1x16"),
        ({"blocks": _CALL["blocks"][0]}, "block shape=0x0; allowed"),
        ({"starts": _CALL["starts"].long()}, "starts of type int64; allowed: int32"),
        ({"columns": _CALL["columns"][1:]}, "columns of shape"),
        ({"columns": _CALL["columns"] + 5}, "columns from \\d+ to \\d+; allowed: 0 to 4 for k=70"),
        ({"starts": _CALL["starts"] + 1}, "starts from 1 to 9 for 8 blocks"),
        ({"bias": torch.ones(49)}, "bias of shape \\(49,\\)"),
        ({"out_dtype": torch.int32}, "out_dtype=torch.int32"),
    ],
)
def test_bad_input_is_named(changed, words):
    with pytest.raises(KernelError, match=words):
        block_sparse_linear(**{**_OPERANDS, **changed})
