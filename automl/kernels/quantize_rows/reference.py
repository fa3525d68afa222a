"""The definition of ``quantize_rows``.

Division is IEEE single precision: a float64 quotient rounded to float32 is that, because 53 >= 2 * 24 + 2.
"""

from __future__ import annotations

import torch

__all__ = ["LEVELS", "TINY", "run"]

#: Largest code of each format.
LEVELS = {"int8": 127.0, "fp8_e4m3": 448.0}

#: Smallest scale, the smallest normal float32: an all-zero row has codes 0 and no division by zero.
TINY = 2.0**-126


def run(
    x: torch.Tensor, fmt: str, granularity: str, scale: torch.Tensor | None, zero: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return codes (x.shape) and float32 scales: x.shape[:-1] per row, () per tensor."""
    values = x.double()
    if scale is None:
        size = values.abs()
        flat = size.amax(-1) if granularity == "row" else size.flatten().amax()
        finite = torch.isfinite(values)
        finite = finite.all(-1) if granularity == "row" else finite.all()
        step = (flat / LEVELS[fmt]).float().clamp_min(TINY)
        step = torch.where(finite, step, torch.nan)
    else:
        step = scale.float().clone()
    wide = step.double().unsqueeze(-1) if step.dim() else step.double()
    quotient = (values / wide).float().nan_to_num(nan=0.0)
    if fmt == "int8":
        return quotient.round().add(zero).clamp(-128, 127).to(torch.int8), step
    return quotient.clamp(-448, 448).to(torch.float8_e4m3fn), step
