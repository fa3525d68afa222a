"""Launch shapes of matrix kernels by class of problem: a fixed table, never tuned behind a search's back."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from automl.core.errors import KernelError

__all__ = [
    "DECODE_ROWS",
    "SHAPE_CLASSES",
    "LaunchConfig",
    "LaunchTable",
    "shape_class",
    "traffic_ratio",
    "warps_of",
]

#: ``decode``: a few tokens, bound by the weight's bytes; ``prefill``: many; ``conv``: a convolution as GEMM,
#: with many rows and few columns.
SHAPE_CLASSES = ("decode", "prefill", "conv")

#: One tensor-core tile holds 16 rows, so up to there the rows are free.
DECODE_ROWS = 16


#: A product with this many times more rows than columns looks like a convolution's.
_CONV_RATIO = 8


def shape_class(rows: int, columns: int) -> str:
    """Return the class of a product with ``rows`` rows of input and ``columns`` output channels."""
    if rows <= DECODE_ROWS:
        return "decode"
    return "conv" if rows >= _CONV_RATIO * columns else "prefill"


@dataclass(frozen=True)
class LaunchConfig:
    """Tile and pipeline of one kernel.

    Args:
        block_m: rows of input of one program.
        block_n: output channels of one program.
        block_k: inner length of one step.
        warps: warps of 32 threads of one program; see ``warps_of``.
        stages: software-pipeline stages.
    """

    block_m: int
    block_n: int
    block_k: int
    warps: int = 4
    stages: int = 3

    def __post_init__(self) -> None:
        for name in ("block_m", "block_n", "block_k", "warps"):
            value = getattr(self, name)
            if value < 1 or value & (value - 1):
                raise KernelError(f"launch {name}={value}: Triton takes powers of two; use 16, 32, 64 or 128")
        if self.stages < 1:
            raise KernelError(f"launch stages={self.stages}: at least one stage is needed; use 2 to 4")


def warps_of(warps: int, wide: int | None = None) -> int:
    """Return how many wavefronts of ``wide`` threads make a program as many threads as ``warps`` of 32.

    Tiles are cut so that a thread of such a program reads 16 bytes at once; twice the threads would read 8.

    Args:
        warps: of 32 threads.
        wide: threads of a wavefront; those of the GPUs that this torch was built for when None.
    """
    if wide is None:
        wide = 32 if torch.version.hip is None else 64
    return max(1, warps * 32 // wide)


def traffic_ratio(
    config: LaunchConfig, shape: tuple[int, int, int], *, x_bits: int, w_bits: int, y_bits: int
) -> float:
    """Return how many times the least number of bytes the programs move when no cache helps.

    Every program reads its rows of input and its channels of weight over the whole inner length.

    Args:
        config: tile of one program.
        shape: (m, k, n) of the product, all positive.
        x_bits: of one input.
        w_bits: of one weight.
        y_bits: of one output.
    """
    m, k, n = shape
    x, w, y = m * k * x_bits, n * k * w_bits, m * n * y_bits
    return (x * -(-n // config.block_n) + w * -(-m // config.block_m) + y) / (x + w + y)


@dataclass(frozen=True)
class LaunchTable:
    """One configuration per shape class; the deterministic default of a kernel."""

    decode: LaunchConfig
    prefill: LaunchConfig
    conv: LaunchConfig

    def pick(self, rows: int, columns: int) -> LaunchConfig:
        """Return the configuration for ``rows`` rows of input and ``columns`` output channels."""
        found: LaunchConfig = getattr(self, shape_class(rows, columns))
        return found

    def items(self) -> tuple[tuple[str, LaunchConfig], ...]:
        """Return (shape class, configuration) in the order of ``SHAPE_CLASSES``."""
        return tuple((name, getattr(self, name)) for name in SHAPE_CLASSES)
