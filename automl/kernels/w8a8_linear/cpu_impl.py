"""``w8a8_linear`` on the CPU: oneDNN's int8 product (AMX, VNNI), the epilogue fused where it can be.

With a step per row, and where the step is measured in the call, C++ makes the codes before and scales the
rows after, a call each, or does all of it in one call on the processor's tiles; without a compiler torch's
operators do, a dozen of them. Products of few rows are C++ as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from automl.kernels.checks import need_steps
from automl.kernels.quantize_rows.dynamic_codes import row_codes
from automl.kernels.quantize_rows.dynamic_codes import tensor_codes
from automl.kernels.w8a8_linear.few_rows import few_rows
from automl.kernels.w8a8_linear.native_impl import surroundings
from automl.kernels.w8a8_linear.product_codes import product_codes
from automl.kernels.w8a8_linear.tiles_impl import tile_weight

if TYPE_CHECKING:
    from collections.abc import Callable

    from automl.kernels.w8a8_linear.few_rows import FewRows
    from automl.kernels.w8a8_linear.native_impl import Surroundings
    from automl.kernels.w8a8_linear.tiles_impl import TileWeight

__all__ = ["TILE_ROWS", "PackedW8A8", "pack", "run"]

#: Up to here one call on the processor's tiles is faster than oneDNN's product and a pass over its result.
TILE_ROWS = 256

_POST_OPS = {"none": "none", "relu": "relu", "gelu": "gelu", "silu": "swish"}
_NO_ARGUMENTS: list[float | None] = []


@dataclass(frozen=True)
class PackedW8A8:
    """A weight in a blocked layout; packing costs milliseconds, so it is done once.

    Args:
        weight: codes in oneDNN's layout; empty beside ``few``.
        scale: (n,) float32.
        zero: (n,) int32 zeros.
        bias: (n,) float32, or None.
        activation: fused activation.
        out_dtype: type of the result.
        out_codes: (step, zero) of a result of type int8, which ``static`` alone gives.
        around: what the native kernels do before and after the product, None where torch's operators do it.
        few: the native product, which then serves every call; None where oneDNN's does.
        tiles: the weight once more, as the compiled product by row takes it, or None.
    """

    weight: torch.Tensor
    scale: torch.Tensor
    zero: torch.Tensor
    bias: torch.Tensor | None
    activation: str
    out_dtype: torch.dtype
    out_codes: tuple[float, int] = (1.0, 0)
    around: Surroundings | None = None
    few: FewRows | None = None
    tiles: TileWeight | None = None

    def static(self, x: torch.Tensor, x_scale: float) -> torch.Tensor:
        """Return the product of codes that share one scale: a single call.

        Args:
            x: (m, k) int8.
            x_scale: step of the codes.
        """
        if self.few is not None:
            return self.few(x, x_scale)
        return self.bound(x_scale)(x)

    def dynamic(self, x: torch.Tensor, granularity: str = "row") -> torch.Tensor:
        """Return the product of floats (m, k), whose step is measured per ``row`` or per ``tensor``."""
        if self.around is None:
            if granularity == "tensor":
                return self.static(*tensor_codes(x, kept=True))
            return self.rows(*row_codes(x, kept=True))
        if granularity == "tensor":
            return self.static(*self.around.quantizer.tensor(x, kept=True))
        if self.tiles is not None and x.shape[0] <= TILE_ROWS:
            y = self.tiles(x, self._wide_type)
            return _activate_(y, self.activation).to(self.out_dtype) if self._torch_activates else y
        return self.rows(*self.around.quantizer.rows(x, kept=True))

    @property
    def _torch_activates(self) -> bool:
        return self.activation in ("gelu", "silu")

    @property
    def _wide_type(self) -> torch.dtype:
        """Type of what comes before an activation that torch computes."""
        return torch.float32 if self._torch_activates else self.out_dtype

    def bound(self, x_scale: float) -> Callable[[torch.Tensor], torch.Tensor]:
        """Return ``static`` for codes (..., k) of one known step, everything looked up in advance."""
        if self.few is not None:
            return self.few.product(x_scale)
        rest = (self.weight, self.scale, self.zero, self.bias, *self.out_codes, self.out_dtype)
        post = (_POST_OPS[self.activation], _NO_ARGUMENTS, "none")

        return lambda x: _product(x, x_scale, *rest, *post)

    def added(self, x: torch.Tensor, x_scale: float, residual: torch.Tensor) -> torch.Tensor:
        """Return ``static`` with a residual (m, n) of the output type added before ``none`` or ``relu``."""
        if self.few is not None:
            return self.few(x, x_scale, residual)
        codes, zero = product_codes(x)
        y: torch.Tensor = _BINARY(
            codes,
            x_scale,
            zero,
            self.weight,
            self.scale,
            self.zero,
            residual,
            self.bias,
            1.0,
            0,
            self.out_dtype,
            1.0,
            0,
            "add",
            1.0,
            self.activation,
            _NO_ARGUMENTS,
            "none",
        )
        return y

    def rows(
        self, x: torch.Tensor, x_scale: torch.Tensor, residual: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the product of codes with a scale per row; oneDNN takes one scale, so rows are scaled after.

        Args:
            x: (m, k) int8.
            x_scale: (m,) or (m, 1) float32.
            residual: (m, n), any float type.
        """
        if self.few is not None:
            return self.few(x, x_scale, residual)
        y = _product(
            x,
            1.0,
            self.weight,
            self.scale,
            self.zero,
            None,
            1.0,
            0,
            torch.float32,
            "none",
            _NO_ARGUMENTS,
            "",
        )
        if self.around is not None:
            return self._finished(self.around, y, x_scale, residual)
        by_row = x_scale if x_scale.dim() == 2 else x_scale.unsqueeze(-1)
        y = y.mul_(by_row) if self.bias is None else torch.addcmul(self.bias, y, by_row, out=y)
        if residual is not None:
            y += residual
        y = _activate_(y, self.activation)
        return y if self.out_dtype == torch.float32 else y.to(self.out_dtype)

    def _finished(
        self, around: Surroundings, y: torch.Tensor, x_scale: torch.Tensor, residual: torch.Tensor | None
    ) -> torch.Tensor:
        y = around.finish(
            y,
            x_scale.contiguous(),
            self.bias,
            None if residual is None else residual.float().contiguous(),
            relu=self.activation == "relu",
            out_dtype=self._wide_type,
        )
        return _activate_(y, self.activation).to(self.out_dtype) if self._torch_activates else y


_POINTWISE = torch.ops.onednn.qlinear_pointwise.default
_BINARY = torch.ops.onednn.qlinear_pointwise.binary


def _product(x: torch.Tensor, x_scale: float, *rest: object) -> torch.Tensor:
    """Return oneDNN's product of codes (..., k) with step ``x_scale``; ``rest`` follows in its call."""
    codes, zero = product_codes(x)
    y: torch.Tensor = _POINTWISE(codes, x_scale, zero, *rest)
    return y


def _activate_(y: torch.Tensor, activation: str) -> torch.Tensor:
    if activation == "relu":
        return y.relu_()
    if activation == "gelu":
        return torch.nn.functional.gelu(y)
    return torch.nn.functional.silu(y, inplace=True) if activation == "silu" else y


def pack(
    w: torch.Tensor,
    w_scale: torch.Tensor,
    bias: torch.Tensor | None,
    *,
    activation: str = "none",
    out_dtype: torch.dtype = torch.float32,
    out_codes: tuple[float, int] = (1.0, 0),
    rows: int | None = None,
    by_row: bool = False,
) -> PackedW8A8:
    """Return the weight ready for any number of products.

    Args:
        w: (n, k) int8 codes.
        w_scale: (n,) steps.
        bias: (n,) or None.
        activation: one of ``automl.kernels.checks.ACTIVATIONS``.
        out_dtype: float32, float16, bfloat16, or int8 for a result that the next layer reads as codes.
        out_codes: (step, zero) of an int8 result.
        rows: of most calls, None when unknown; any number is served, others are only slower.
        by_row: whether ``dynamic`` is to measure steps by row; a processor with tiles then keeps the weight
            in a second layout, another byte a code, for half the time.

    Raises:
        KernelError: a scale is not positive and finite.
    """
    need_steps("w8a8_linear", "w_scale", w_scale)
    scale = w_scale.float().contiguous()
    wide_bias = None if bias is None else bias.detach().float().contiguous()
    few = few_rows(
        w, scale, wide_bias, activation=activation, out_dtype=out_dtype, out_codes=out_codes, rows=rows
    )
    return PackedW8A8(
        torch.ops.onednn.qlinear_prepack(w.contiguous(), None) if few is None else w.new_empty(0),
        scale,
        torch.zeros(w.shape[0], dtype=torch.int32),
        wide_bias,
        activation,
        out_dtype,
        out_codes,
        surroundings(),
        few,
        tile_weight(w, scale, wide_bias, relu=activation == "relu") if by_row and few is None else None,
    )


def run(
    x: torch.Tensor,
    x_scale: torch.Tensor,
    w: torch.Tensor,
    w_scale: torch.Tensor,
    bias: torch.Tensor | None,
    residual: torch.Tensor | None,
    activation: str,
    out_dtype: torch.dtype,
) -> torch.Tensor:
    """Return (m, n) of ``out_dtype``; packs the weight every time, so modules call ``pack`` once instead."""
    if x.shape[0] == 0:
        return torch.empty((0, w.shape[0]), dtype=out_dtype)
    packed = pack(w, w_scale, bias, activation=activation, out_dtype=out_dtype, rows=x.shape[0])
    x = x.contiguous()
    if x_scale.dim():
        return packed.rows(x, x_scale, residual)
    if residual is None:
        return packed.static(x, float(x_scale))
    if activation in {"none", "relu"} and residual.dtype == out_dtype == torch.float32:
        return packed.added(x, float(x_scale), residual.contiguous())
    return packed.rows(x, x_scale.expand(x.shape[0]), residual)
