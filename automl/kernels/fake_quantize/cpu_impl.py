"""``fake_quantize`` on the CPU: vectorized torch operators, in place after the quotient."""

from __future__ import annotations

import torch

from automl.kernels.fake_quantize.layout_math import spread

__all__ = ["run", "run_backward"]


def _bounds(
    x: torch.Tensor,
    zero: torch.Tensor | None,
    where: tuple[str, int, int],
    low: int,
    high: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the first and last code less the zero point, float32, broadcasting against x."""
    if zero is None:
        return torch.tensor(float(low)), torch.tensor(float(high))
    shift = spread(zero, x.shape, *where)
    return (low - shift).float(), (high - shift).float()


def run(
    x: torch.Tensor,
    scale: torch.Tensor,
    zero: torch.Tensor | None,
    granularity: str,
    axis: int,
    group: int,
    low: int,
    high: int,
) -> torch.Tensor:
    """Return what the reference returns."""
    where = (granularity, axis, group)
    step = spread(scale, x.shape, *where)
    first, last = _bounds(x, zero, where, low, high)
    codes = x.float().div(step).round_()
    return torch.clamp(codes, first, last, out=codes).mul_(step).to(x.dtype)


def run_backward(
    grad: torch.Tensor,
    x: torch.Tensor,
    scale: torch.Tensor,
    zero: torch.Tensor | None,
    granularity: str,
    axis: int,
    group: int,
    low: int,
    high: int,
) -> torch.Tensor:
    """Return what the reference returns."""
    where = (granularity, axis, group)
    first, last = _bounds(x, zero, where, low, high)
    codes = x.float().div(spread(scale, x.shape, *where)).round_()
    return grad.where((codes >= first).logical_and_(codes <= last), 0.0)
