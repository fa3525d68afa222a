"""``block_sparse_linear``: a linear layer whose weight is zero outside of a list of dense blocks."""

from __future__ import annotations

from typing import Any

import torch

from automl.core.errors import KernelError
from automl.kernels import table
from automl.kernels.block_sparse_linear.blocks_math import SHAPES
from automl.kernels.block_sparse_linear.blocks_math import cpu_obstacle
from automl.kernels.checks import need_device
from automl.kernels.checks import need_dtype
from automl.kernels.checks import need_one_of
from automl.kernels.checks import need_shape
from automl.kernels.dispatch import choose
from automl.kernels.spec import KernelSpec

__all__ = ["SPEC", "block_sparse_linear"]

SPEC = KernelSpec(
    name="block_sparse_linear",
    summary="weights of dense 16x16, 32x32, 64x64 or 1x16 blocks in a list, single or half precision",
    dtypes=("float32", "float16", "bfloat16"),
    cpu=(
        "dense products of the inputs a row of blocks reads; 75 % sparse at 197 rows 64x64 took 0.64 of "
        "dense float32, 32x32 0.93, and 1x16 is refused"
    ),
)

_FLOATS = (torch.float32, torch.float16, torch.bfloat16)


@torch.library.custom_op("automl::block_sparse_linear", mutates_args=())
def _block_sparse_linear(
    x: torch.Tensor,
    blocks: torch.Tensor,
    starts: torch.Tensor,
    columns: torch.Tensor,
    bias: torch.Tensor | None,
    outputs: int,
    out_dtype: torch.dtype,
    implementation: str,
) -> torch.Tensor:
    _need_list(x, blocks, starts, columns)
    run = table.implementation(SPEC.name, implementation)
    y: torch.Tensor = run(x, blocks, starts, columns, bias, outputs, out_dtype)
    return y.to(out_dtype)


@_block_sparse_linear.register_fake
def _fake(
    x: torch.Tensor,
    blocks: torch.Tensor,
    starts: torch.Tensor,
    columns: torch.Tensor,
    bias: torch.Tensor | None,
    outputs: int,
    out_dtype: torch.dtype,
    implementation: str,
) -> torch.Tensor:
    return x.new_empty((x.shape[0], outputs), dtype=out_dtype)


def _need_list(x: torch.Tensor, blocks: torch.Tensor, starts: torch.Tensor, columns: torch.Tensor) -> None:
    """Refuse a list that points outside of its blocks or of x; a GPU is not stalled to look."""
    if x.device.type != "cpu":
        return
    across = -(-x.shape[1] // blocks.shape[1])
    ends = [int(starts[0]), int(starts[-1])]
    if ends != [0, blocks.shape[0]] or bool((starts.diff() < 0).any()):
        raise KernelError(
            f"kernel '{SPEC.name}' got starts from {ends[0]} to {ends[1]} for {blocks.shape[0]} blocks; "
            "allowed: 0, never falling, to the number of blocks; pack the weight again"
        )
    if len(columns) and not 0 <= int(columns.min()) <= int(columns.max()) < across:
        raise KernelError(
            f"kernel '{SPEC.name}' got columns from {int(columns.min())} to {int(columns.max())}; "
            f"allowed: 0 to {across - 1} for k={x.shape[1]}; pack the weight again"
        )


def _need_operands(call: dict[str, Any], rows: int) -> None:
    need_dtype(SPEC.name, "blocks", call["blocks"], (call["x"].dtype,))
    for name in ("starts", "columns"):
        need_dtype(SPEC.name, name, call[name], (torch.int32,))
    need_shape(SPEC.name, "starts", call["starts"], (rows + 1,), "(ceil(n / height) + 1,)")
    need_shape(SPEC.name, "columns", call["columns"], (call["blocks"].shape[0],), "(b,)")
    if call["bias"] is not None:
        need_shape(SPEC.name, "bias", call["bias"], (call["outputs"],), "(n,)")
    need_one_of(SPEC.name, "out_dtype", call["out_dtype"], _FLOATS)
    need_device(SPEC.name, call["x"], {n: call[n] for n in ("blocks", "starts", "columns", "bias")})


def block_sparse_linear(
    x: torch.Tensor,
    blocks: torch.Tensor,
    starts: torch.Tensor,
    columns: torch.Tensor,
    *,
    outputs: int,
    bias: torch.Tensor | None = None,
    out_dtype: torch.dtype = torch.float32,
    preference: str = "auto",
) -> torch.Tensor:
    """Return the linear layer of a block-sparse weight; the list is that of ``blocks_math.pack_blocks``.

    Args:
        x: (..., k) float32, float16 or bfloat16, any strides; no rows at all is allowed.
        blocks: (b, width, height) of the type of x.
        starts: (ceil(n / height) + 1,) int32.
        columns: (b,) int32.
        outputs: n.
        bias: (n,), any float type.
        out_dtype: float32, float16 or bfloat16.
        preference: see ``automl.kernels.dispatch``.

    Returns:
        (..., n) of ``out_dtype``.

    Raises:
        KernelError: a type, shape or option is not allowed, the list (on the CPU) points outside of its
            blocks or of x, or the ordered implementation cannot run.
    """
    need_dtype(SPEC.name, "x", x, _FLOATS)
    if x.dim() == 0 or x.shape[-1] == 0 or outputs < 1:
        raise KernelError(
            f"kernel '{SPEC.name}' got x of shape {tuple(x.shape)} and outputs={outputs}; allowed: (..., k) "
            "with k >= 1, and at least one output; drop the empty layer"
        )
    sizes = [f"{h}x{w}" for h, w in SHAPES]
    height, width = (blocks.shape[2], blocks.shape[1]) if blocks.dim() == 3 else (0, 0)
    need_one_of(SPEC.name, "block shape", f"{height}x{width}", sizes)
    call = {
        "x": x.reshape(-1, x.shape[-1]),
        "blocks": blocks,
        "starts": starts,
        "columns": columns,
        "bias": bias,
        "outputs": outputs,
        "out_dtype": out_dtype,
    }
    _need_operands(call, -(-outputs // height))
    refused = {"cpu": cpu_obstacle(height)}
    choice = choose(SPEC, x.device.type, preference=preference, refused=refused)
    y: torch.Tensor = _block_sparse_linear(*call.values(), choice.implementation)
    return y.reshape(*x.shape[:-1], outputs)
