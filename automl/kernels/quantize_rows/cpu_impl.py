"""``quantize_rows`` on the CPU: int8 codes in C++; else torch's operators on stretches that stay in cache."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch

from automl.kernels.quantize_rows.dynamic_codes import row_codes
from automl.kernels.quantize_rows.dynamic_codes import tensor_codes
from automl.kernels.quantize_rows.native_impl import quantizer
from automl.kernels.quantize_rows.reference import LEVELS
from automl.kernels.quantize_rows.reference import TINY

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["run", "static_codes", "static_entry"]

#: Numbers of one stretch: 256 kB in float32, a fraction of a core's second-level cache.
_STRETCH = 1 << 16


def _measured(x: torch.Tensor, fmt: str, granularity: str) -> torch.Tensor:
    # Two reductions of a row are several times as fast as the one that gives both.
    low, high = (x.amin(-1), x.amax(-1)) if granularity == "row" else torch.aminmax(x)
    size = torch.maximum(high.float(), -low.float())
    # An infinite size makes the whole row unusable; subtracting it from itself gives NaN, and 0 elsewhere.
    return (size / LEVELS[fmt]).clamp_min_(TINY).add_(size - size)


def _dynamic(x: torch.Tensor, granularity: str) -> tuple[torch.Tensor, torch.Tensor]:
    flat = x.reshape(-1, x.shape[-1])
    made = quantizer()
    if granularity == "tensor":
        codes, one = tensor_codes(flat) if made is None else made.tensor(flat)
        return codes.reshape(x.shape), torch.tensor(one, dtype=torch.float32)
    codes, steps = row_codes(flat) if made is None else made.rows(flat)
    # An infinite step taken from itself gives NaN, and 0 elsewhere.
    return codes.reshape(x.shape), (steps + (steps - steps)).reshape(x.shape[:-1])


def static_codes(x: torch.Tensor, step: torch.Tensor, zero: int) -> torch.Tensor:
    """Return int8 codes with one step, as ``run`` does, without what a small input spends its time on.

    Args:
        x: any shape.
        step: () float32.
        zero: code of the number 0.
    """
    if x.numel() > _STRETCH:
        return run(x, "int8", "tensor", step, zero)[0]
    quotient = torch.div(x if x.dtype == torch.float32 else x.float(), step).round_()
    if zero:
        quotient.add_(zero)
    return quotient.nan_to_num_(nan=float(zero)).clamp_(-128.0, 127.0).to(torch.int8)


def static_entry(step: torch.Tensor, zero: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return ``static_codes`` of one step, everything looked up in advance; it compiles the native kernel.

    Args:
        step: () float32.
        zero: code of the number 0.
    """
    made = quantizer()
    if made is None:
        return lambda x: static_codes(x, step, zero)
    return partial(made.static, step=float(step), zero=zero)


def run(
    x: torch.Tensor, fmt: str, granularity: str, scale: torch.Tensor | None, zero: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what the reference returns."""
    if scale is None and fmt == "int8":
        return _dynamic(x, granularity)
    made = quantizer() if fmt == "int8" and scale is not None and scale.dim() == 0 else None
    if made is not None and scale is not None:
        return made.static(x, float(scale), zero), scale.float().clone()
    step = _measured(x, fmt, granularity) if scale is None else scale.float().clone()
    flat = x.reshape(-1, x.shape[-1])
    by_row = step.reshape(-1, 1)
    codes = torch.empty(flat.shape, dtype=torch.int8 if fmt == "int8" else torch.float8_e4m3fn)
    rows = max(1, _STRETCH // flat.shape[1])
    quotients = torch.empty((min(rows, flat.shape[0]), flat.shape[1]), dtype=torch.float32)
    for start in range(0, flat.shape[0], rows):
        part = flat[start : start + rows]
        quotient = quotients[: part.shape[0]]
        torch.div(part, by_row[start : start + rows] if step.dim() else by_row, out=quotient)
        if fmt == "int8":
            quotient.round_()
            if zero:
                quotient.add_(zero)
        low, high = (-128.0, 127.0) if fmt == "int8" else (-448.0, 448.0)
        quotient.nan_to_num_(nan=float(zero)).clamp_(low, high)
        codes[start : start + rows].copy_(quotient)
    return codes.reshape(x.shape), step
