"""``block_sparse_linear`` on the CPU: dense products of the inputs that a row of blocks reads.

Many rows of x: one product a row of blocks, written in place, its gathered input still in cache. Few rows:
all rows of blocks in one batched product, filled up to equal counts, because calls cost more than the sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch

from automl.kernels.block_sparse_linear.blocks_math import cpu_obstacle

__all__ = ["FEW_ROWS", "PackedBlocks", "pack", "refusal", "run"]

#: Rows of x up to which one batched product is faster than one call a row of blocks.
FEW_ROWS = 16

#: Most a batched product may compute, over what the blocks hold.
_MOST_FILLING = 2.0


@dataclass(frozen=True)
class PackedBlocks:
    """A block list ready for products.

    Args:
        rows: per row of blocks: the columns it reads (c,) and its matrix (c width, height).
        columns: (r, most) the same columns, filled up with the row's first.
        matrices: (r, most width, height), filled up with zeros.
        empty: (e,) rows of blocks without a block.
        batched: whether filling up is worth it.
        bias: (n,) float32, or None.
        outputs: n.
        inner: k.
        out_dtype: type of the result.
    """

    rows: tuple[tuple[torch.Tensor, torch.Tensor], ...]
    columns: torch.Tensor
    matrices: torch.Tensor
    empty: torch.Tensor
    batched: bool
    bias: torch.Tensor | None
    outputs: int
    inner: int
    out_dtype: torch.dtype

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return (m, n) of ``out_dtype`` for x (m, k) of the blocks' type."""
        width = self.matrices.shape[1] // max(self.columns.shape[1], 1)
        padded = torch.nn.functional.pad(x, (0, -self.inner % width)).contiguous()
        parts = padded.view(x.shape[0], -1, width)
        few = self.batched and x.shape[0] <= FEW_ROWS
        y = (self._at_once(parts) if few else self._by_row(parts))[:, : self.outputs]
        if self.bias is not None:
            return (y + self.bias).to(self.out_dtype)
        return y.to(self.out_dtype).contiguous()

    def _by_row(self, parts: torch.Tensor) -> torch.Tensor:
        many, height = parts.shape[0], self.matrices.shape[2]
        y = torch.empty((many, len(self.rows) * height), dtype=parts.dtype)
        for index, (columns, matrix) in enumerate(self.rows):
            target = y[:, index * height : (index + 1) * height]
            if len(columns):
                torch.mm(parts.index_select(1, columns).view(many, -1), matrix, out=target)
            else:
                target.zero_()
        return y

    def _at_once(self, parts: torch.Tensor) -> torch.Tensor:
        many, (batch, inner, height) = parts.shape[0], self.matrices.shape
        read = parts.index_select(1, self.columns.view(-1)).view(many, batch, inner)
        y = torch.bmm(read.transpose(0, 1), self.matrices)
        if len(self.empty):
            y[self.empty] = 0
        return y.transpose(0, 1).reshape(many, batch * height)


def pack(
    blocks: torch.Tensor,
    starts: torch.Tensor,
    columns: torch.Tensor,
    outputs: int,
    inner: int,
    *,
    bias: torch.Tensor | None = None,
    out_dtype: torch.dtype = torch.float32,
) -> PackedBlocks:
    """Return the list ready for any number of products; ``blocks_math.BlockList`` explains the arguments."""
    _, width, height = blocks.shape
    ends = starts.tolist()
    counts = starts.diff().long()
    most = max(int(counts.max()), 1)
    wide = columns.long()
    rows = []
    filled = torch.zeros((len(counts), most), dtype=torch.int64)
    matrices = torch.zeros((len(counts), most * width, height), dtype=blocks.dtype)
    for index, (start, stop) in enumerate(pairwise(ends)):
        own, matrix = wide[start:stop], blocks[start:stop].reshape(-1, height)
        rows.append((own, matrix))
        if stop > start:
            filled[index] = own[0]
            filled[index, : stop - start] = own
            matrices[index, : len(matrix)] = matrix
    batched = len(counts) * most <= _MOST_FILLING * max(len(columns), 1)
    return PackedBlocks(
        tuple(rows),
        filled,
        matrices,
        (counts == 0).nonzero().flatten(),
        batched,
        None if bias is None else bias.float(),
        outputs,
        inner,
        out_dtype,
    )


def refusal(
    x: torch.Tensor,
    blocks: torch.Tensor,
    starts: torch.Tensor,
    columns: torch.Tensor,
    bias: torch.Tensor | None,
    outputs: int,
    out_dtype: torch.dtype,
) -> str | None:
    """Return why blocks of one output channel are not served."""
    return cpu_obstacle(blocks.shape[2])


def run(
    x: torch.Tensor,
    blocks: torch.Tensor,
    starts: torch.Tensor,
    columns: torch.Tensor,
    bias: torch.Tensor | None,
    outputs: int,
    out_dtype: torch.dtype,
) -> torch.Tensor:
    """Return (m, outputs) of ``out_dtype``; packs every time, so modules call ``pack`` once instead."""
    if x.shape[0] == 0 or outputs == 0:
        return torch.empty((x.shape[0], outputs), dtype=out_dtype)
    packed = pack(blocks.contiguous(), starts, columns, outputs, x.shape[1], bias=bias, out_dtype=out_dtype)
    return packed(x)
