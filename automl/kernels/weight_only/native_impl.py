"""The weight-only product in C++: codes stay packed, any group, zero point or table serves.

Integer codes are multiplied as integers (VNNI): a group's inputs are whole numbers of up to 22 bits times a
power of two, cut into three signed bytes, so sums are as exact as those of float32 and four products cost
one. A table's levels, and processors without such instructions, take float32.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import torch

from automl.kernels.native.library import native
from automl.kernels.quantize_rows.native_impl import TYPES
from automl.kernels.weight_only.formats_math import unpack_nibbles

if TYPE_CHECKING:
    from automl.kernels.native.library import Native
    from automl.kernels.weight_only.weight import Weight

__all__ = ["LANES", "WORDS", "NativeWeight", "block_codes", "block_steps", "native_weight"]

#: Output channels of a block.
LANES = 16

#: Bits of a code -> codes of a word.
WORDS = {4: 8, 8: 4}

#: Multiplications from which a second thread pays for being woken.
_SHARED = 1 << 17


class _Fields(ctypes.Structure):
    """What the sources call ``Weight``."""

    _fields_ = (
        ("codes", ctypes.c_void_p),
        ("scale", ctypes.c_void_p),
        ("offset", ctypes.c_void_p),
        ("table", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("columns", ctypes.c_int64),
        ("inner", ctypes.c_int64),
        ("group", ctypes.c_int64),
        ("bits", ctypes.c_int64),
    )


def _padded(codes: torch.Tensor, group: int, *, word: int) -> torch.Tensor:
    """Return codes (n, k) with every group filled up to whole words and n to whole blocks, by zeros."""
    n, inner = codes.shape
    whole, rest = divmod(inner, group)
    step = -(-group // word) * word
    room = torch.zeros((-(-n // LANES) * LANES, whole * step + -(-rest // word) * word), dtype=codes.dtype)
    groups = codes[:, : whole * group].reshape(n, whole, group)
    room[:n, : whole * step].view(n, whole, step)[..., :group] = groups
    room[:n, whole * step : whole * step + rest] = codes[:, whole * group :]
    return room


def block_codes(weight: Weight) -> torch.Tensor:
    """Return the codes by blocks of 16 channels, four or eight inputs of a channel in a word.

    Returns:
        (blocks, words, 16) int32. At 4 bits, inputs 0 to 3 of a word lie in the low halves of its bytes, 4 to
        7 in the high ones; at 8 bits a byte each, signed codes plus 128.
    """
    if weight.bits == 8:
        signed = weight.codes.dtype == torch.int8
        codes = weight.codes.view(torch.uint8) ^ 128 if signed else weight.codes
    else:
        codes = unpack_nibbles(weight.codes, weight.inner)
    word = WORDS[weight.bits]
    room = _padded(codes, weight.group, word=word)
    words = room.reshape(-1, LANES, room.shape[1] // word, word).transpose(1, 2).long()
    place = torch.arange(word)
    shifts = place * 8 if weight.bits == 8 else place % 4 * 8 + place // 4 * 4
    # The highest byte makes the 64-bit sum exceed int32; the conversion keeps the low half, the word.
    return (words << shifts).sum(-1).to(torch.int32).contiguous()


def block_steps(values: torch.Tensor) -> torch.Tensor:
    """Return values (n, groups) as (blocks, groups, 16) float32, zeros for channels past n."""
    n, groups = values.shape
    room = torch.zeros((-(-n // LANES) * LANES, groups))
    room[:n] = values.float()
    return room.reshape(-1, LANES, groups).transpose(1, 2).contiguous()


class NativeWeight:
    """A packed weight and its product.

    Args:
        kernels: the library.
        weight: the quantized weight.
        bias: (n,) or None, added in float32.
    """

    def __init__(self, kernels: Native, weight: Weight, bias: torch.Tensor | None) -> None:
        self._product = kernels.function(
            "automl_weight_only",
            (
                ctypes.POINTER(_Fields),
                ctypes.c_void_p,
                ctypes.c_int,
                ctypes.c_int64,
                ctypes.c_int64,
                ctypes.c_void_p,
                ctypes.c_int,
            ),
        )
        self.columns, self.inner = weight.codes.shape[0], weight.inner
        middle = 8 if weight.bits == 4 else 128
        offset = None if weight.zero is None else block_steps(weight.zero.float() - middle)
        table = None if weight.table is None else weight.table.float().contiguous()
        bias = None if bias is None else bias.detach().float().contiguous()
        # The library keeps addresses alone, so their tensors are kept here.
        self._held = (block_codes(weight), block_steps(weight.scale), offset, table, bias)
        self._fields = _Fields(
            *(None if t is None else t.data_ptr() for t in self._held),
            self.columns,
            self.inner,
            weight.group,
            weight.bits,
        )
        self._reference = ctypes.pointer(self._fields)

    def __deepcopy__(self, memo: dict[int, object]) -> NativeWeight:
        """Return itself: nothing in it changes."""
        return self

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return (m, n) of the type of ``x``, (m, k) of any float type and strides; no rows is allowed."""
        rows = x.shape[0]
        if x.stride(1) != 1 and self.inner != 1:
            x = x.contiguous()
        y = torch.empty((rows, self.columns), dtype=x.dtype)
        if rows:
            many = rows * self.columns * self.inner >= _SHARED
            self._product(
                self._reference,
                x.data_ptr(),
                TYPES[x.dtype],
                rows,
                x.stride(0),
                y.data_ptr(),
                torch.get_num_threads() if many else 1,
            )
        return y


def native_weight(weight: Weight, bias: torch.Tensor | None) -> NativeWeight | None:
    """Return the packed weight, or None when torch's operators serve."""
    kernels = native()
    return None if kernels is None else NativeWeight(kernels, weight, bias)
