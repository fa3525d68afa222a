"""``quantize_rows`` in C++: a row is read once from memory, measured, and rounded while it is in cache."""

from __future__ import annotations

import threading
from ctypes import c_float
from ctypes import c_int
from ctypes import c_int64
from ctypes import c_void_p
from functools import lru_cache
from typing import TYPE_CHECKING

import torch

from automl.kernels.native.library import native

if TYPE_CHECKING:
    from automl.kernels.native.library import Native

__all__ = ["TYPES", "Quantizer", "quantizer"]

#: Codes of float types, as the sources know them.
TYPES = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2}

#: Numbers from which a second thread pays for being woken.
_SHARED = 1 << 15

#: Inputs whose buffers are kept, and the numbers that the largest of them has.
_KEPT = 8
_LARGEST_KEPT = 1 << 22


@lru_cache(maxsize=_KEPT)
def _room(rows: int, inner: int, thread: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return codes and steps of this thread; a thread that writes them never shares them."""
    with torch.inference_mode(mode=False):
        return torch.empty((rows, inner), dtype=torch.int8), torch.empty((rows, 1))


class Quantizer:
    """int8 codes of a matrix by the native kernels.

    Args:
        kernels: the library.
    """

    def __init__(self, kernels: Native) -> None:
        self._rows = kernels.function(
            "automl_quantize_rows",
            (c_void_p, c_int, c_int64, c_int64, c_int64, c_void_p, c_void_p, c_int),
        )
        self._tensor = kernels.function(
            "automl_quantize_tensor", (c_void_p, c_int, c_int64, c_void_p, c_int), c_float
        )
        self._static = kernels.function(
            "automl_quantize_static", (c_void_p, c_int, c_int64, c_float, c_int, c_void_p, c_int)
        )

    def __deepcopy__(self, memo: dict[int, object]) -> Quantizer:
        """Return itself: the library is one a process."""
        return self

    def rows(self, x: torch.Tensor, *, kept: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        """Return codes (m, k) and float32 steps (m, 1); zeros and NaN where a row is not finite.

        Args:
            x: (m, k), k at least 1, any float type and strides; no rows at all is allowed.
            kept: give both in buffers that the next such call of this thread overwrites.
        """
        rows, inner = x.shape
        if x.stride(1) != 1 and inner != 1:
            x = x.contiguous()
        codes, steps = _outputs(rows, inner, kept)
        self._rows(
            x.data_ptr(),
            TYPES[x.dtype],
            rows,
            inner,
            x.stride(0),
            codes.data_ptr(),
            steps.data_ptr(),
            _threads(rows * inner),
        )
        return codes, steps

    def tensor(self, x: torch.Tensor, *, kept: bool = False) -> tuple[torch.Tensor, float]:
        """Return codes (m, k) with one step, and the step; zeros and NaN when a number is not finite.

        Args:
            x: (m, k), at least one number, any float type and strides.
            kept: give the codes in a buffer that the next such call of this thread overwrites.
        """
        rows, inner = x.shape
        x = x.contiguous()
        codes = _outputs(rows, inner, kept)[0]
        count = rows * inner
        step: float = self._tensor(x.data_ptr(), TYPES[x.dtype], count, codes.data_ptr(), _threads(count))
        return codes, step

    def static(self, x: torch.Tensor, step: float, zero: int = 0) -> torch.Tensor:
        """Return codes of the shape of ``x``, with one step known before.

        Args:
            x: any shape, float type and strides.
            step: positive.
            zero: code of the number 0; NaN becomes it.
        """
        x = x.contiguous()
        codes = torch.empty(x.shape, dtype=torch.int8)
        count = x.numel()
        self._static(x.data_ptr(), TYPES[x.dtype], count, step, zero, codes.data_ptr(), _threads(count))
        return codes


def quantizer() -> Quantizer | None:
    """Return the native form, or None when torch's operators serve."""
    kernels = native()
    return None if kernels is None else Quantizer(kernels)


def _outputs(rows: int, inner: int, kept: bool) -> tuple[torch.Tensor, torch.Tensor]:
    if kept and rows * inner <= _LARGEST_KEPT:
        return _room(rows, inner, threading.get_ident())
    return torch.empty((rows, inner), dtype=torch.int8), torch.empty((rows, 1))


def _threads(numbers: int) -> int:
    return torch.get_num_threads() if numbers >= _SHARED else 1
