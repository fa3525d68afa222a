"""Roofline: operations and bytes of one operator, and the least time a device needs for them.

Yuan et al., "LLM Inference Unveiled: Survey and Roofline Model Insights", arXiv 2402.16363: an operator
takes ``max(operations / peak, bytes / bandwidth)``. Counted here, and not in the tool published with that
paper: two operations per multiply-accumulate for every matrix product, the language-model head included;
activations times the batch everywhere; the activation of a gated block over its intermediate width; queries
of every query head; and fused attention that writes its output once and no scores.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from dataclasses import fields

__all__ = [
    "Work",
    "attention_work",
    "conv_work",
    "crossover_rows",
    "elementwise_work",
    "embedding_work",
    "fused_attention_work",
    "kv_cache_work",
    "linear_work",
    "norm_work",
    "ridge",
    "ring_all_reduce_s",
    "roofline_s",
    "softmax_work",
    "two_step_all_reduce_s",
]

#: Operations an element costs in a softmax: maximum, subtraction, exponential, sum, division.
SOFTMAX_OPS = 5.0
#: Operations an element costs in a normalization: mean, difference, square, sum, scale, weight, bias.
NORM_OPS = 7.0
#: Queries that a fused attention kernel keeps on chip while keys and values stream by.
QUERY_TILE = 128


@dataclass(frozen=True)
class Work:
    """What an operator does.

    Args:
        macs: multiply-accumulates of matrix products, two operations each.
        ops: all other operations.
        weight_bytes: weights and their scales, read once.
        read_bytes: activations read.
        write_bytes: activations written.
        kv_bytes: keys and values read from or written to the cache.
    """

    macs: float = 0.0
    ops: float = 0.0
    weight_bytes: float = 0.0
    read_bytes: float = 0.0
    write_bytes: float = 0.0
    kv_bytes: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def total_bytes(self) -> float:
        """Bytes moved between memory and the processor."""
        return self.weight_bytes + self.read_bytes + self.write_bytes + self.kv_bytes

    @property
    def total_ops(self) -> float:
        """Operations, two a multiply-accumulate."""
        return 2.0 * self.macs + self.ops

    @property
    def intensity(self) -> float:
        """Operations a byte; infinite when nothing is moved, 0 when nothing is done."""
        if self.total_bytes > 0:
            return self.total_ops / self.total_bytes
        return math.inf if self.total_ops > 0 else 0.0


def linear_work(
    rows: float, d_in: int, d_out: int, *, weight: float, read: float, write: float, dequantize: float = 0.0
) -> Work:
    """Return the work of ``rows`` (batch x tokens) through a matrix layer.

    Args:
        rows: rows of the input.
        d_in: input features.
        d_out: output features.
        weight: bytes of one weight, its share of the scales included.
        read: bytes of one input element.
        write: bytes of one output element; the width of the cache for key and value projections.
        dequantize: operations that one weight costs before it is multiplied.
    """
    n = float(d_in) * d_out
    return Work(rows * n, dequantize * n, n * weight, rows * d_in * read, rows * d_out * write)


def conv_work(
    positions: float,
    c_out: int,
    kernel: int,
    *,
    in_elements: float,
    weight: float,
    read: float,
    write: float,
    dequantize: float = 0.0,
) -> Work:
    """Return the work of a convolution.

    Args:
        positions: batch x output positions.
        c_out: output channels.
        kernel: weights of one output channel: input channels of its group x kernel positions.
        in_elements: batch x elements of the input, each read once.
        weight: bytes of one weight, its share of the scales included.
        read: bytes of one input element.
        write: bytes of one output element.
        dequantize: operations that one weight costs before it is multiplied.
    """
    n = float(c_out) * kernel
    return Work(positions * n, dequantize * n, n * weight, in_elements * read, positions * c_out * write)


def embedding_work(rows: float, width: float, *, weight: float, write: float) -> Work:
    """Return the work of a table look-up: only the rows that are asked for are read."""
    return Work(weight_bytes=rows * width * weight, write_bytes=rows * width * write)


def attention_work(
    batch: float, new: float, context: float, heads: int, kv_heads: int, head: int, *, act: float, kv: float
) -> tuple[Work, Work, Work]:
    """Return the work of (QK, softmax, PV) as three kernels that pass the scores through memory.

    Args:
        batch: sequences.
        new: tokens that ask, per sequence.
        context: tokens that are asked, per sequence, the new ones included.
        heads: query heads.
        kv_heads: key and value heads; fewer than ``heads`` in grouped attention.
        head: width of a head.
        act: bytes of one activation.
        kv: bytes of one cached element.
    """
    macs = batch * heads * new * context * head
    scores = batch * heads * new * context
    queries, cached = batch * heads * new * head * act, batch * kv_heads * context * head * kv
    first = Work(macs, read_bytes=queries, write_bytes=scores * act, kv_bytes=cached)
    second = Work(macs, read_bytes=scores * act, write_bytes=queries, kv_bytes=cached)
    return first, softmax_work(scores, act=act), second


def fused_attention_work(
    batch: float,
    new: float,
    context: float,
    heads: int,
    kv_heads: int,
    head: int,
    *,
    act: float,
    kv: float,
    tile: int = QUERY_TILE,
) -> Work:
    """Return the work of attention in one kernel: scores stay on chip, the cache is read once a query tile.

    Dao et al., "FlashAttention", arXiv 2205.14135. Arguments as :func:`attention_work`.

    Args:
        batch: sequences.
        new: tokens that ask.
        context: tokens that are asked.
        heads: query heads.
        kv_heads: key and value heads.
        head: width of a head.
        act: bytes of one activation.
        kv: bytes of one cached element.
        tile: queries of a tile.
    """
    first, middle, second = attention_work(batch, new, context, heads, kv_heads, head, act=act, kv=kv)
    passes = math.ceil(new / tile) if new > 0 else 0
    return Work(
        first.macs + second.macs,
        middle.ops,
        read_bytes=first.read_bytes,
        write_bytes=second.write_bytes,
        kv_bytes=passes * (first.kv_bytes + second.kv_bytes),
    )


def kv_cache_work(batch: float, new: float, kv_heads: int, head: int, *, kv: float) -> Work:
    """Return the work of storing keys and values of ``new`` tokens."""
    return Work(kv_bytes=2.0 * batch * new * kv_heads * head * kv)


def softmax_work(elements: float, *, act: float) -> Work:
    """Return the work of a softmax over ``elements`` in all."""
    return Work(ops=SOFTMAX_OPS * elements, read_bytes=elements * act, write_bytes=elements * act)


def norm_work(elements: float, *, act: float) -> Work:
    """Return the work of a normalization over ``elements`` in all."""
    return Work(ops=NORM_OPS * elements, read_bytes=elements * act, write_bytes=elements * act)


def elementwise_work(elements: float, *, ops: float, read_elements: float, act: float) -> Work:
    """Return the work of ``ops`` operations an output element, ``read_elements`` read over all inputs."""
    return Work(ops=ops * elements, read_bytes=read_elements * act, write_bytes=elements * act)


def roofline_s(work: Work, matrix_ops_s: float, vector_ops_s: float, bytes_s: float) -> float:
    """Return the least seconds of an operator; matrix products, other operations and memory overlap.

    Args:
        work: what it does.
        matrix_ops_s: peak of matrix products in operations a second.
        vector_ops_s: peak of everything else.
        bytes_s: memory bandwidth in bytes a second.
    """
    return max(2.0 * work.macs / matrix_ops_s, work.ops / vector_ops_s, work.total_bytes / bytes_s)


def ridge(matrix_ops_s: float, bytes_s: float) -> float:
    """Return the operations a byte from which a device is limited by its arithmetic."""
    return matrix_ops_s / bytes_s


def crossover_rows(d_in: int, d_out: int, at: float, *, weight: float, read: float, write: float) -> float:
    """Return the rows from which a matrix layer has the intensity ``at``; infinite when it never has.

    Solves ``2 m d_in d_out = at (d_in d_out weight + m d_in read + m d_out write)`` for m.
    """
    n = float(d_in) * d_out
    slope = 2.0 * n - at * (d_in * read + d_out * write)
    return at * n * weight / slope if slope > 0 else math.inf


def ring_all_reduce_s(size: float, ranks: int, *, latency_s: float, link_bytes_s: float) -> float:
    """Return the seconds of a ring all-reduce of ``size`` bytes: 2 (ranks - 1) steps of a chunk each."""
    if ranks <= 1:
        return 0.0
    return 2 * (ranks - 1) * (latency_s + size / ranks / link_bytes_s)


def two_step_all_reduce_s(
    size: float,
    ranks: int,
    *,
    latency_s: float,
    link_bytes_s: float,
    share: float = 1.0,
    convert_s: float = 0.0,
) -> float:
    """Return the seconds of all-to-all, local sum and all-gather of ``size`` bytes.

    Li et al., "Flash Communication", arXiv 2412.04964: two steps instead of 2 (ranks - 1), so that values may
    be quantized twice only.

    Args:
        size: bytes before quantization.
        ranks: processes.
        latency_s: seconds a step costs besides its bytes.
        link_bytes_s: bandwidth of a rank's link.
        share: quantized bytes over ``size``, scales included.
        convert_s: seconds of quantizing and dequantizing, both rounds.
    """
    if ranks <= 1:
        return 0.0
    return 2 * (latency_s + size * share * (ranks - 1) / ranks / link_bytes_s) + convert_s
