"""What surrounds the int8 product in C++: codes of its input before, steps by row and the epilogue after."""

from __future__ import annotations

from ctypes import c_int
from ctypes import c_int64
from ctypes import c_void_p
from typing import TYPE_CHECKING

import torch

from automl.kernels.native.library import native
from automl.kernels.quantize_rows.native_impl import TYPES
from automl.kernels.quantize_rows.native_impl import Quantizer

if TYPE_CHECKING:
    from automl.kernels.native.library import Native

__all__ = ["Surroundings", "surroundings"]

#: Numbers from which a second thread pays for being woken.
_SHARED = 1 << 15


class Surroundings:
    """Codes and epilogue by the native kernels.

    Args:
        kernels: the library.
    """

    def __init__(self, kernels: Native) -> None:
        self.quantizer = Quantizer(kernels)
        self._finish = kernels.function(
            "automl_finish_rows", (*(c_void_p,) * 4, c_int, c_int64, c_int64, c_void_p, c_int, c_int)
        )

    def __deepcopy__(self, memo: dict[int, object]) -> Surroundings:
        """Return itself: the library is one a process."""
        return self

    def finish(
        self,
        y: torch.Tensor,
        steps: torch.Tensor,
        bias: torch.Tensor | None,
        residual: torch.Tensor | None,
        *,
        relu: bool,
        out_dtype: torch.dtype,
    ) -> torch.Tensor:
        """Return ``y * steps + bias + residual``, by row, and its positive part when ``relu``.

        Args:
            y: (m, n) float32, contiguous; overwritten when the result is float32 too.
            steps: (m,) or (m, 1) float32, contiguous.
            bias: (n,) float32, contiguous, or None.
            residual: (m, n) float32, contiguous, or None.
            relu: whether negative results become 0.
            out_dtype: float type of the result.
        """
        rows, columns = y.shape
        out = y if out_dtype == torch.float32 else torch.empty((rows, columns), dtype=out_dtype)
        self._finish(
            y.data_ptr(),
            steps.data_ptr(),
            None if bias is None else bias.data_ptr(),
            None if residual is None else residual.data_ptr(),
            relu,
            rows,
            columns,
            out.data_ptr(),
            TYPES[out_dtype],
            torch.get_num_threads() if rows * columns >= _SHARED else 1,
        )
        return out


def surroundings() -> Surroundings | None:
    """Return the native form, or None when torch's operators serve."""
    kernels = native()
    return None if kernels is None else Surroundings(kernels)
