"""Block lists: the blocks of a weight that are kept, row of blocks by row of blocks.

A block covers ``height`` output channels and ``width`` inputs. It is stored with its inputs first, (width,
height), so that the blocks of one row, which follow each other, are one dense matrix of the inputs they read.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from automl.core.errors import KernelError

__all__ = ["SHAPES", "BlockList", "cpu_obstacle", "pack_blocks", "prune_blocks", "unpack_blocks"]

#: (height, width) of blocks that kernels take.
SHAPES = ((16, 16), (32, 32), (64, 64), (1, 16))


@dataclass(frozen=True)
class BlockList:
    """The kept blocks of a weight (n, k).

    Args:
        blocks: (b, width, height), the last row and column of blocks filled up with zeros.
        starts: (ceil(n / height) + 1,) int32; row r of blocks is ``blocks[starts[r] : starts[r + 1]]``.
        columns: (b,) int32, which ``width`` inputs a block reads, ascending in a row.
        outputs: n.
        inner: k.
    """

    blocks: torch.Tensor
    starts: torch.Tensor
    columns: torch.Tensor
    outputs: int
    inner: int

    @property
    def density(self) -> float:
        """Share of the weight's blocks that are stored."""
        _, width, height = self.blocks.shape
        return self.blocks.shape[0] / (-(-self.outputs // height) * -(-self.inner // width))


def cpu_obstacle(height: int) -> str | None:
    """Return why blocks of so many output channels are not served on a CPU, or None."""
    if height == 1:
        return (
            "1x16 blocks leave no dense product on a CPU: 75 % sparse they took 8 to 41 times as long "
            "as dense float32; use blocks of 64x64, or keep the layer dense"
        )
    return None


def _tiles(weight: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """Return (rows of blocks, columns of blocks, height, width)."""
    if shape not in SHAPES:
        names = ", ".join(f"{h}x{w}" for h, w in SHAPES)
        raise KernelError(
            f"kernel 'block_sparse_linear' got blocks of {shape[0]}x{shape[1]}; allowed: {names}; "
            "choose one of them"
        )
    height, width = shape
    outputs, inner = weight.shape
    padded = torch.nn.functional.pad(weight, (0, -inner % width, 0, -outputs % height))
    return padded.reshape(-(-outputs // height), height, -(-inner // width), width).transpose(1, 2)


def prune_blocks(weight: torch.Tensor, shape: tuple[int, int], sparsity: float) -> torch.Tensor:
    """Return the weight with the ``sparsity`` share of its blocks of smallest Euclidean norm set to zero.

    Args:
        weight: (n, k).
        shape: (height, width), one of ``SHAPES``.
        sparsity: 0 to 1, rounded to whole blocks.
    """
    tiles = _tiles(weight, shape)
    norms = tiles.double().square().sum((-1, -2))
    keep = torch.ones(norms.numel(), dtype=torch.bool, device=weight.device)
    keep[norms.flatten().argsort(stable=True)[: round(sparsity * norms.numel())]] = False
    wide = keep.reshape(norms.shape).repeat_interleave(shape[0], 0).repeat_interleave(shape[1], 1)
    return weight.where(wide[: weight.shape[0], : weight.shape[1]], torch.zeros_like(weight))


def pack_blocks(weight: torch.Tensor, shape: tuple[int, int]) -> BlockList:
    """Return the blocks of a weight (n, k) that hold anything but zeros.

    Raises:
        KernelError: the block shape is not served, or a value is not finite.
    """
    tiles = _tiles(weight, shape)
    if not bool(torch.isfinite(weight).all()):
        raise KernelError(
            "kernel 'block_sparse_linear' got a weight with NaN or infinity; allowed: finite values; "
            "check how the layer was trained"
        )
    held = (tiles != 0).flatten(2).any(-1)
    counts = held.sum(1)
    starts = torch.zeros(held.shape[0] + 1, dtype=torch.int32, device=weight.device)
    starts[1:] = counts.cumsum(0)
    columns = held.nonzero()[:, 1].to(torch.int32)
    return BlockList(tiles[held].transpose(1, 2).contiguous(), starts, columns, *weight.shape)


def unpack_blocks(
    blocks: torch.Tensor, starts: torch.Tensor, columns: torch.Tensor, outputs: int, inner: int
) -> torch.Tensor:
    """Return the dense weight (outputs, inner)."""
    _, width, height = blocks.shape
    rows, across = starts.shape[0] - 1, -(-inner // width)
    tiles = torch.zeros((rows, across, height, width), dtype=blocks.dtype, device=blocks.device)
    row = torch.repeat_interleave(torch.arange(rows, device=starts.device), starts.diff().long())
    tiles[row, columns.long()] = blocks.transpose(1, 2)
    return tiles.transpose(1, 2).reshape(rows * height, across * width)[:outputs, :inner]
