"""The definition of ``block_sparse_linear``: the product with the dense weight, in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automl.kernels.block_sparse_linear.blocks_math import unpack_blocks

if TYPE_CHECKING:
    import torch

__all__ = ["run"]


def run(
    x: torch.Tensor,
    blocks: torch.Tensor,
    starts: torch.Tensor,
    columns: torch.Tensor,
    bias: torch.Tensor | None,
    outputs: int,
    out_dtype: torch.dtype,
) -> torch.Tensor:
    """Return (m, outputs) float64, the number that the output type rounds."""
    weight = unpack_blocks(blocks, starts, columns, outputs, x.shape[1])
    total = x.double() @ weight.double().t()
    return total if bias is None else total + bias.double()
