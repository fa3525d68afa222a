"""``w8a8_linear`` for few rows in C++: one call, whose cost is reading the weight once.

oneDNN's int8 product spends some 30 us on finding and setting up its code in every call, several times what
16 rows of a small layer take.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from automl.kernels.native.library import native
from automl.kernels.quantize_rows.native_impl import TYPES
from automl.kernels.w8a8_linear.tiles_impl import tile_codes

if TYPE_CHECKING:
    from collections.abc import Callable

    from automl.kernels.native.library import Native

__all__ = ["FEW_ROWS", "FewRows", "few_rows"]

#: Form that the processor allows (see ``few_rows.cpp``) -> rows up to which it is the faster one.
FEW_ROWS = {2: 32, 1: 4, 0: 0}

#: Bytes of a weight from which a second thread pays for being woken.
_SHARED = 1 << 17

_SIGNATURE = (
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_int64,
    ctypes.c_float,
    *(ctypes.c_void_p,) * 3,
    ctypes.c_int,
)
_INT8 = 3
_ACTIVATIONS = {"none": 0, "relu": 1, "gelu": 2, "silu": 3}


class _Plan(ctypes.Structure):
    """What stays the same from call to call, as ``few_rows.cpp`` lays it out."""

    _fields_ = (
        ("weight", ctypes.c_void_p),
        ("scale", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("shift", ctypes.c_void_p),
        ("columns", ctypes.c_int64),
        ("inner", ctypes.c_int64),
        ("activation", ctypes.c_int32),
        ("type", ctypes.c_int32),
        ("zero", ctypes.c_int32),
        ("tiles", ctypes.c_int32),
        ("step", ctypes.c_float),
    )


@dataclass(frozen=True, eq=False)
class FewRows:
    """A packed weight and what follows its product.

    Args:
        kernels: the library.
        weight: codes in tiles, see ``tile_codes``.
        scale: (n,) float32.
        shift: (n,) int32, 128 times the sum of each channel's codes.
        bias: (n,) float32, or None.
        inner: k.
        activation: fused, one of ``automl.kernels.checks.ACTIVATIONS``.
        out_dtype: float32, float16, bfloat16 or int8.
        out_codes: (step, zero) of an int8 result.
        tiles: whether the processor's tiles may serve where it has them.
    """

    kernels: Native
    weight: torch.Tensor
    scale: torch.Tensor
    shift: torch.Tensor
    bias: torch.Tensor | None
    inner: int
    activation: str
    out_dtype: torch.dtype
    out_codes: tuple[float, int]
    tiles: bool = True

    def __call__(
        self,
        x: torch.Tensor,
        steps: float | torch.Tensor,
        residual: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return (..., n) of codes (..., k).

        Args:
            x: (..., k) int8.
            steps: one step, or one a row, (m,) or (m, 1) float32.
            residual: (m, n), any float type.
        """
        x = x.contiguous()
        by_row = steps.contiguous() if isinstance(steps, torch.Tensor) else None
        step = 0.0 if isinstance(steps, torch.Tensor) else steps
        added = None if residual is None else residual.float().contiguous()
        out = torch.empty((*x.shape[:-1], self.scale.shape[0]), dtype=self.out_dtype)
        self._call(
            self._address,
            x.data_ptr(),
            x.numel() // self.inner,
            step,
            None if by_row is None else by_row.data_ptr(),
            None if added is None else added.data_ptr(),
            out.data_ptr(),
            torch.get_num_threads() if self._shared else 1,
        )
        return out

    def product(self, step: float) -> Callable[[torch.Tensor], torch.Tensor]:
        """Return the function of codes (..., k) of one known step, everything else looked up in advance."""
        call, at, inner, columns = self._call, self._address, self.inner, self.scale.shape[0]
        dtype, shared = self.out_dtype, self._shared

        # What the plan points to lives as long as this function does.
        def product(x: torch.Tensor, _held: object = self) -> torch.Tensor:
            x = x.contiguous()
            out = torch.empty((*x.shape[:-1], columns), dtype=dtype)
            threads = torch.get_num_threads() if shared else 1
            call(at, x.data_ptr(), x.numel() // inner, step, None, None, out.data_ptr(), threads)
            return out

        return product

    def __deepcopy__(self, memo: dict[int, object]) -> FewRows:
        """Return itself: nothing writes into it, and the library is one a process."""
        return self

    @cached_property
    def _call(self) -> Callable[..., None]:
        return self.kernels.function("automl_few_rows", _SIGNATURE)

    @property
    def _shared(self) -> bool:
        return self.weight.numel() >= _SHARED

    @cached_property
    def _plan(self) -> _Plan:
        bias = None if self.bias is None else self.bias.data_ptr()
        kind = _INT8 if self.out_dtype == torch.int8 else TYPES[self.out_dtype]
        step, zero = self.out_codes
        return _Plan(
            self.weight.data_ptr(),
            self.scale.data_ptr(),
            bias,
            self.shift.data_ptr(),
            self.scale.shape[0],
            self.inner,
            _ACTIVATIONS[self.activation],
            kind,
            zero,
            int(self.tiles),
            step,
        )

    @cached_property
    def _address(self) -> int:
        return ctypes.addressof(self._plan)


def few_rows(
    w: torch.Tensor,
    scale: torch.Tensor,
    bias: torch.Tensor | None,
    *,
    activation: str,
    out_dtype: torch.dtype,
    out_codes: tuple[float, int],
    rows: int | None,
) -> FewRows | None:
    """Return the packed weight, or None where oneDNN serves: for many rows, or without native kernels.

    Args:
        w: (n, k) int8 codes.
        scale: (n,) float32, contiguous.
        bias: (n,) float32, contiguous, or None.
        activation: one of ``automl.kernels.checks.ACTIVATIONS``.
        out_dtype: float32, float16, bfloat16 or int8.
        out_codes: (step, zero) of an int8 result.
        rows: of most calls, None when unknown.
    """
    kernels = None if rows is None else native()
    if kernels is None or rows is None:
        return None
    if rows > FEW_ROWS[int(kernels.function("automl_few_rows_form", (), ctypes.c_int)())]:
        return None
    shift = (w.sum(dim=1, dtype=torch.int64) * 128).int()
    return FewRows(kernels, tile_codes(w), scale, shift, bias, w.shape[1], activation, out_dtype, out_codes)
