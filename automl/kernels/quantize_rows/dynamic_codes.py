"""int8 codes on the CPU with steps measured in the call, in as few operators as there can be.

With few numbers the calls of torch's operators cost more than the arithmetic, the more so after a product
that emptied the caches of their code; with many, passes over memory do. So buffers are kept between calls,
and a stretch of rows stays in cache from the quotient to the codes. With a step per row rounding costs no
operator of its own: a quotient of at most 127 added to 1.5 * 2^23 leaves the addition no bit for a fraction,
which it rounds half to even, and the lowest byte of the sum is the code. That of NaN is 0.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import torch

from automl.kernels.quantize_rows.reference import LEVELS
from automl.kernels.quantize_rows.reference import TINY

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["STRETCH", "row_codes", "tensor_codes"]

#: Numbers of one stretch: 1 MB in float32, half of a second-level cache.
STRETCH = 1 << 18

_LARGEST = LEVELS["int8"]
_MAGIC = 1.5 * 2.0**23

#: Shapes of stretches whose buffers are kept, 9 bytes a number.
_KEPT = 8


@dataclass(frozen=True)
class _Buffers:
    """Room for a stretch (rows, k).

    Args:
        addend: 1.5 * 2^23 everywhere.
        sums: float32.
        bits: the same memory as int32.
        codes: int8.
    """

    addend: torch.Tensor
    sums: torch.Tensor
    bits: torch.Tensor
    codes: torch.Tensor


@lru_cache(maxsize=_KEPT)
def _buffers(rows: int, inner: int, thread: int) -> _Buffers:
    """Return the buffers of this thread; a thread that writes them never shares them."""
    with torch.inference_mode(mode=False):
        addend = torch.full((rows, inner), _MAGIC)
        sums = torch.empty_like(addend)
        return _Buffers(addend, sums, sums.view(torch.int32), torch.empty_like(addend, dtype=torch.int8))


def _stretches(rows: int, inner: int) -> Iterator[slice]:
    many = max(1, STRETCH // max(inner, 1))
    for start in range(0, rows, many):
        yield slice(start, min(start + many, rows))


def tensor_codes(x: torch.Tensor, *, kept: bool = False) -> tuple[torch.Tensor, float]:
    """Return int8 codes (m, k) with one step, and the step; zeros and NaN when a number is not finite.

    Args:
        x: (m, k), at least one number, any float type.
        kept: give the codes of a short input in a buffer that the next call of this thread overwrites.
    """
    x = x.detach() if x.requires_grad else x
    low, high = torch.aminmax(x)
    size = max(high.item(), -low.item())
    if not math.isfinite(size):
        return torch.zeros(x.shape, dtype=torch.int8), math.nan
    # Torch rounds it to single precision, which is what dividing in single precision gives.
    step = max(size / _LARGEST, TINY)
    if x.numel() <= STRETCH:
        room = _buffers(*x.shape, threading.get_ident())
        quotients = _quotients(x, step, room)
        return room.codes.copy_(quotients) if kept else quotients.to(torch.int8), step
    codes = torch.empty(x.shape, dtype=torch.int8)
    for part in _stretches(*x.shape):
        few = x[part]
        codes[part].copy_(_quotients(few, step, _buffers(*few.shape, threading.get_ident())))
    return codes, step


def _quotients(x: torch.Tensor, step: float, room: _Buffers) -> torch.Tensor:
    wide = x if x.dtype == torch.float32 else x.float()
    return torch.div(wide, step, out=room.sums).round_()


def row_codes(x: torch.Tensor, *, kept: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """Return int8 codes (m, k) and float32 steps (m, 1), NaN or infinite where a row is not finite.

    The codes of such a row are zeros, so that its products with the step are NaN.

    Args:
        x: (m, k), k at least 1, any float type; no rows at all is allowed.
        kept: give the codes of a short input in a buffer that the next call of this thread overwrites.
    """
    x = x.detach() if x.requires_grad else x
    if x.numel() <= STRETCH:
        step, room = _summed(x)
        return room.codes.copy_(room.bits) if kept else room.bits.to(torch.int8), step
    codes = torch.empty(x.shape, dtype=torch.int8)
    steps = torch.empty((x.shape[0], 1))
    for part in _stretches(*x.shape):
        steps[part], room = _summed(x[part])
        codes[part].copy_(room.bits)
    return codes, steps


def _summed(x: torch.Tensor) -> tuple[torch.Tensor, _Buffers]:
    size = torch.maximum(x.amax(-1, keepdim=True), x.amin(-1, keepdim=True).neg_())
    step = size.float().div_(_LARGEST).clamp_min_(TINY)
    room = _buffers(*x.shape, threading.get_ident())
    torch.addcdiv(room.addend, x if x.dtype == torch.float32 else x.float(), step, out=room.sums)
    return step, room
