"""Integer group scales: their multiplier, and the proof that an int32 sum cannot overflow.

Reference: "Integer Scale", arXiv 2405.14597. The paper takes the smallest power of two that brings the
smallest scale to 1 or more, which leaves one or two bits; here it is the largest that provably fits.
"""

from __future__ import annotations

import torch

from automl.core.errors import KernelError

__all__ = [
    "LARGEST_ERROR",
    "integer_scales",
    "multiplier",
    "odd_group",
    "pack_signed",
    "unpack_signed",
    "worst_sum",
]

#: Largest relative rounding error of a scale that is accepted.
LARGEST_ERROR = 0.01

#: |activation code| <= 128 and |weight code| <= 8.
_LARGEST_PRODUCT = 128 * 8


def worst_sum(scale: torch.Tensor, group: int, inner: int) -> int:
    """Return the largest |sum| any int8 input can reach over the channels; int32 holds it below 2^31.

    Args:
        scale: (n, groups) integer scales.
        group: inputs that share a scale; the last group may be shorter.
        inner: k.
    """
    if scale.numel() == 0:
        return 0
    lengths = torch.full((scale.shape[1],), group, dtype=torch.int64)
    lengths[-1] = inner - group * (scale.shape[1] - 1)
    # Two's complement alone decides the sign of the worst case, so the size of a scale is what counts.
    return int((scale.cpu().long().abs() * lengths).sum(dim=1).max()) * _LARGEST_PRODUCT


def multiplier(scale: torch.Tensor, group: int, inner: int) -> int:
    """Return the largest power of two whose rounded scales provably fit, 0 when not even 1 does.

    Args:
        scale: (n, groups) positive float scales.
        group: inputs that share a scale.
        inner: k.
    """
    for power in range(40, -1, -1):
        rounded = (scale.double() * 2.0**power).round()
        if float(rounded.max()) < 2**31 and worst_sum(rounded.long(), group, inner) < 2**31:
            return 1 << power
    return 0


def integer_scales(scale: torch.Tensor, group: int, inner: int) -> tuple[torch.Tensor, int]:
    """Return (n, groups) int32 scales and their common multiplier.

    Args:
        scale: (n, groups) positive float scales.
        group: inputs that share a scale.
        inner: k.

    Raises:
        KernelError: a scale is not positive and finite, or the smallest errs by ``LARGEST_ERROR`` or more.
    """
    bad = ~(torch.isfinite(scale) & (scale > 0))
    if bool(bad.any()):
        raise KernelError(
            f"group scales: {int(bad.sum())} of {scale.numel()} are not positive and finite, such "
            f"as {scale[bad].flatten()[0].item()}; allowed: positive numbers; calibrate the weight again"
        )
    alpha = multiplier(scale, group, inner)
    smallest = float(scale.min())
    error = 0.5 / (alpha * smallest) if alpha else float("inf")
    if error >= LARGEST_ERROR:
        raise KernelError(
            f"integer group scales: multiplier {alpha} leaves the scale {smallest:.3g} with an error of "
            f"up to {error:.1%}; allowed: below {LARGEST_ERROR:.0%}; use float group scales for this layer"
        )
    return (scale.double() * alpha).round().to(torch.int32), alpha


def odd_group(group: int, groups: int) -> str | None:
    """Return why packed codes of odd groups cannot be read from whole bytes, or None where they can."""
    return f"group={group} is odd and would begin inside a byte" if groups > 1 and group % 2 else None


def pack_signed(codes: torch.Tensor) -> torch.Tensor:
    """Return (n, ceil(k / 2)) uint8 of (n, k) codes in [-8, 7], two's complement, even codes low."""
    codes = codes.to(torch.int16)
    if codes.shape[1] % 2:
        codes = torch.nn.functional.pad(codes, (0, 1))
    return ((codes[:, 0::2] & 15) | ((codes[:, 1::2] & 15) << 4)).to(torch.uint8)


def unpack_signed(packed: torch.Tensor, inner: int) -> torch.Tensor:
    """Return the (n, inner) int8 codes of ``pack_signed``."""
    nibbles = torch.stack([packed & 15, packed >> 4], dim=-1).reshape(packed.shape[0], -1)[:, :inner]
    signed = nibbles.to(torch.int8)
    return torch.where(signed > 7, signed - 16, signed)
