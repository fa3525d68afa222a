"""Level tables of 4-bit formats and the packing of two codes into a byte."""

from __future__ import annotations

import torch

__all__ = ["FP4", "nf4", "pack_nibbles", "unpack_nibbles"]

#: e2m1 by code: the sign is the highest bit, exponent bias 1, and 0.5 the one subnormal.
FP4: tuple[float, ...] = (
    *(0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0),
    *(-0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0),
)

#: Mean of the outermost quantiles of 15 and 16 levels, 1 - (1/30 + 1/32) / 2: both tails stay finite.
_NF4_TAIL = 1 - (1 / 30 + 1 / 32) / 2


def nf4() -> torch.Tensor:
    """Return the 16 levels of NormalFloat-4 by code, float32, ascending from -1 to 1 with an exact 0.

    Reference: Dettmers et al., "QLoRA", arXiv 2305.14314, appendix E: normal quantiles, eight
    on the negative side, nine on the positive, the double zero dropped, divided by the largest.
    """
    positive = torch.special.ndtri(torch.linspace(_NF4_TAIL, 0.5, 9, dtype=torch.float64))
    negative = -torch.special.ndtri(torch.linspace(_NF4_TAIL, 0.5, 8, dtype=torch.float64))
    levels = torch.cat([negative[:-1], torch.zeros(1, dtype=torch.float64), positive[:-1].flip(0)])
    return (levels / levels.abs().max()).float()


def pack_nibbles(codes: torch.Tensor) -> torch.Tensor:
    """Return (n, ceil(k / 2)) bytes of (n, k) codes in [0, 15]; code 2j is the low nibble."""
    codes = codes.to(torch.uint8)
    if codes.shape[1] % 2:
        codes = torch.nn.functional.pad(codes, (0, 1))
    return codes[:, 0::2] | (codes[:, 1::2] << 4)


def unpack_nibbles(packed: torch.Tensor, inner: int) -> torch.Tensor:
    """Return the (n, inner) codes of ``pack_nibbles``."""
    return torch.stack([packed & 15, packed >> 4], dim=-1).reshape(packed.shape[0], -1)[:, :inner]
