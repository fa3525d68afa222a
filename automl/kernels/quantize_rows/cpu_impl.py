"""``quantize_rows`` on the CPU: vectorized torch operators in float32."""

from __future__ import annotations

import torch

from automl.kernels.quantize_rows.reference import LEVELS
from automl.kernels.quantize_rows.reference import TINY

__all__ = ["run"]


def run(
    x: torch.Tensor, fmt: str, granularity: str, scale: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what the reference returns."""
    values = x.float()
    if scale is None:
        low, high = torch.aminmax(values, dim=-1 if granularity == "row" else None)
        size = torch.maximum(high, low.neg_())
        # An infinite size makes the whole row unusable; subtracting it from itself gives NaN and 0 elsewhere.
        step = (size / LEVELS[fmt]).clamp_min_(TINY).add_(size - size)
    else:
        step = scale.float().clone()
    quotient = values / (step.unsqueeze(-1) if step.dim() else step)
    if fmt == "fp8_e4m3":
        return quotient.nan_to_num_(nan=0.0, posinf=448.0, neginf=-448.0).clamp_(-448, 448).to(
            torch.float8_e4m3fn
        ), step
    return quotient.round_().nan_to_num_(nan=0.0).clamp_(-128, 127).to(torch.int8), step
