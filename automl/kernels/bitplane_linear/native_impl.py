"""``bitplane_linear`` in C++: population counts of words, 32 output channels side by side."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import numpy as np
import torch

from automl.kernels.bitplane_linear.planes_math import KINDS
from automl.kernels.native.library import native

if TYPE_CHECKING:
    from automl.kernels.native.library import Native

__all__ = ["BLOCK", "NativePlanes", "block_words", "native_planes"]

#: Output channels of a block.
BLOCK = 32

#: Words counted from which a second thread pays for being woken.
_SHARED = 1 << 15


class _Fields(ctypes.Structure):
    """What the sources call ``Planes``."""

    _fields_ = (
        ("words", ctypes.c_void_p),
        ("sums", ctypes.c_void_p),
        ("zero", ctypes.c_void_p),
        ("scale", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("planes", ctypes.c_int64),
        ("count", ctypes.c_int64),
        ("columns", ctypes.c_int64),
        ("inner", ctypes.c_int64),
        ("kind", ctypes.c_int32),
    )


def block_words(words: np.ndarray) -> torch.Tensor:
    """Return words (p, w, n) uint64 as (blocks, p, w, 32) int64, clear for channels past n."""
    planes, count, columns = words.shape
    room = torch.zeros((planes, count, -(-columns // BLOCK) * BLOCK), dtype=torch.int64)
    room[..., :columns] = torch.from_numpy(np.ascontiguousarray(words).view(np.int64))
    return room.reshape(planes, count, -1, BLOCK).permute(2, 0, 1, 3).contiguous()


class NativePlanes:
    """A weight in planes and its product.

    Args:
        kernels: the library.
        words: (p, ceil(k / 64), n) uint64, bits past k clear.
        sums: (n,) int32 sums of the codes.
        inner: k.
        kind: one of ``planes_math.KINDS``.
        scale: (n,) float32 or None.
        zero: (n,) int32 or None.
        bias: (n,) float32 or None.
    """

    def __init__(
        self,
        kernels: Native,
        words: np.ndarray,
        sums: torch.Tensor,
        inner: int,
        kind: str,
        *,
        scale: torch.Tensor | None,
        zero: torch.Tensor | None,
        bias: torch.Tensor | None,
    ) -> None:
        pointer, number, wide = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
        self._product = kernels.function(
            "automl_bitplanes",
            (
                *(ctypes.POINTER(_Fields), pointer, wide, wide, number, number),
                *(pointer, number, pointer, number, pointer, number, number),
            ),
        )
        self.planes, self.count, self.columns = words.shape
        # The library keeps addresses alone, so their tensors are kept here.
        self._held = (
            block_words(words),
            *(None if t is None else t.contiguous() for t in (sums, zero, scale, bias)),
        )
        self._fields = _Fields(
            *(None if t is None else t.data_ptr() for t in self._held),
            self.planes,
            self.count,
            self.columns,
            inner,
            KINDS.index(kind),
        )
        self._reference = ctypes.pointer(self._fields)

    def __deepcopy__(self, memo: dict[int, object]) -> NativePlanes:
        """Return itself: nothing in it changes."""
        return self

    def __call__(
        self,
        x: torch.Tensor,
        x_scale: torch.Tensor | None,
        x_zero: torch.Tensor | None,
        x_bits: int,
        x_kind: str,
        *,
        integers: bool = False,
    ) -> torch.Tensor:
        """Return (m, n) float32, or the int32 sums, which ignore scales and bias.

        Args:
            x: (m, k) codes of a byte, any strides; no rows is allowed.
            x_scale: float32, (m,) or () or None.
            x_zero: int32, (m,) or () or None.
            x_bits: bits of the codes.
            x_kind: one of ``planes_math.KINDS``.
            integers: whether the plain sums are wanted.
        """
        rows = x.shape[0]
        x = x if x.stride(1) == 1 else x.contiguous()
        x_zero = None if x_zero is None else x_zero.contiguous()
        x_scale = None if x_scale is None else x_scale.contiguous()
        y = torch.empty((rows, self.columns), dtype=torch.int32 if integers else torch.float32)
        if not rows:
            return y
        counted = rows * x_bits * self.planes * self.count * self.columns
        self._product(
            self._reference,
            x.data_ptr(),
            rows,
            x.stride(0),
            x_bits,
            KINDS.index(x_kind),
            None if x_zero is None else x_zero.data_ptr(),
            0 if x_zero is None else x_zero.dim(),
            None if x_scale is None else x_scale.data_ptr(),
            0 if x_scale is None else x_scale.dim(),
            y.data_ptr(),
            integers,
            torch.get_num_threads() if counted >= _SHARED else 1,
        )
        return y


def native_planes(
    words: np.ndarray,
    sums: torch.Tensor,
    inner: int,
    kind: str,
    *,
    scale: torch.Tensor | None,
    zero: torch.Tensor | None,
    bias: torch.Tensor | None,
) -> NativePlanes | None:
    """Return the compiled product, or None when torch's operators and NumPy's counts serve."""
    kernels = native()
    if kernels is None:
        return None
    return NativePlanes(kernels, words, sums, inner, kind, scale=scale, zero=zero, bias=bias)
