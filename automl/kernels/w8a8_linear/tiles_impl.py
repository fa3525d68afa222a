"""The int8 product with a step per row in C++, on the processor's tiles (AMX), codes and epilogue included.

oneDNN's product takes one step for all rows, so rows are scaled by another pass over its result; here a tile
of sums is scaled while it is in the first cache.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import torch

from automl.kernels.native.library import native
from automl.kernels.quantize_rows.native_impl import TYPES

if TYPE_CHECKING:
    from automl.kernels.native.library import Native

__all__ = ["DEPTH", "LANES", "TileWeight", "tile_codes", "tile_weight"]

#: Output channels and inputs of a tile.
LANES, DEPTH = 16, 64

#: Multiplications from which a second thread pays for being woken.
_SHARED = 1 << 20


class _Fields(ctypes.Structure):
    """What the sources call ``tiles::Weight``."""

    _fields_ = (
        ("codes", ctypes.c_void_p),
        ("scale", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("columns", ctypes.c_int64),
        ("inner", ctypes.c_int64),
        ("relu", ctypes.c_int32),
    )


def tile_codes(w: torch.Tensor) -> torch.Tensor:
    """Return codes (n, k) int8 as (blocks, depth, 16, 16, 4): input 4 i + j of a tile at [i, channel, j].

    Channels and inputs are filled up with zeros, and blocks to pairs, which is how the kernel takes them.
    """
    n, inner = w.shape
    blocks, deep = -(-n // (2 * LANES)) * 2, -(-inner // DEPTH)
    room = torch.zeros((blocks * LANES, deep * DEPTH), dtype=torch.int8)
    room[:n, :inner] = w
    return room.view(blocks, LANES, deep, DEPTH // 4, 4).permute(0, 2, 3, 1, 4).contiguous()


class TileWeight:
    """An int8 weight in tiles and its product.

    Args:
        kernels: the library.
        w: (n, k) int8 codes.
        scale: (n,) float32.
        bias: (n,) float32 or None.
        relu: whether negative results become 0.
    """

    def __init__(
        self, kernels: Native, w: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor | None, *, relu: bool
    ) -> None:
        pointer, number, wide = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
        self._product = kernels.function(
            "automl_int8_tiles",
            (
                *(ctypes.POINTER(_Fields), pointer, number, wide, wide),
                *(pointer, pointer, number, number),
            ),
        )
        self.columns, self.inner = w.shape
        # The library keeps addresses alone, so their tensors are kept here.
        self._held = (tile_codes(w), scale.contiguous(), None if bias is None else bias.contiguous())
        addresses = (None if t is None else t.data_ptr() for t in self._held)
        self._fields = _Fields(*addresses, self.columns, self.inner, relu)
        self._reference = ctypes.pointer(self._fields)

    def __deepcopy__(self, memo: dict[int, object]) -> TileWeight:
        """Return itself: nothing in it changes."""
        return self

    def __call__(
        self, x: torch.Tensor, out_dtype: torch.dtype, residual: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return (m, n) of ``out_dtype``; a row with a number that is not finite is NaN.

        Args:
            x: (m, k), any float type and strides; no rows at all is allowed.
            out_dtype: float type of the result.
            residual: (m, n) float32, added before the activation.
        """
        rows = x.shape[0]
        if x.stride(1) != 1 and self.inner != 1:
            x = x.contiguous()
        residual = None if residual is None else residual.contiguous()
        y = torch.empty((rows, self.columns), dtype=out_dtype)
        if rows:
            many = rows * self.columns * self.inner >= _SHARED
            self._product(
                self._reference,
                x.data_ptr(),
                TYPES[x.dtype],
                rows,
                x.stride(0),
                None if residual is None else residual.data_ptr(),
                y.data_ptr(),
                TYPES[out_dtype],
                torch.get_num_threads() if many else 1,
            )
        return y


def tile_weight(
    w: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor | None, *, relu: bool
) -> TileWeight | None:
    """Return the weight in tiles, or None where there is no compiler or the processor has no tiles."""
    kernels = native()
    if kernels is None or not kernels.function("automl_has_tiles", (), ctypes.c_int)():
        return None
    return TileWeight(kernels, w, scale, bias, relu=relu)
