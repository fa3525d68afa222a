"""Codes as bit planes: which numbers b bits stand for, and how 32 of them share a word."""

from __future__ import annotations

import torch

from automl.core.errors import KernelError

__all__ = [
    "BALANCED",
    "KINDS",
    "WORD",
    "code_range",
    "largest",
    "longest",
    "offset",
    "pack_planes",
    "plane_weights",
    "unpack_planes",
    "word_count",
]

#: ``unsigned``: 0 to 2^b - 1; ``signed``: two's complement; ``binary``: -1 and +1 in one plane.
KINDS = ("unsigned", "signed", "binary")

#: Odd, symmetric level sets -> bits of the signed codes that hold them; the 5-level set needs three planes.
BALANCED = {3: 2, 5: 3}

#: Bits of one word.
WORD = 32


def code_range(bits: int, kind: str) -> tuple[int, int]:
    """Return the smallest and the largest code."""
    if kind == "binary":
        return -1, 1
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if kind == "signed" else (0, (1 << bits) - 1)


def plane_weights(bits: int, kind: str) -> tuple[int, ...]:
    """Return what a set bit of each plane adds: powers of two, the sign plane negative, 2 for binary."""
    if kind == "binary":
        return (2,)
    weights = [1 << s for s in range(bits)]
    if kind == "signed":
        weights[-1] = -weights[-1]
    return tuple(weights)


def offset(kind: str) -> int:
    """Return what is subtracted from the sum of planes: 1 for binary, whose clear bit means -1."""
    return 1 if kind == "binary" else 0


def largest(bits: int, kind: str, *, zero: bool) -> int:
    """Return the largest size of a code, or of a code less a zero point that is itself a code."""
    low, high = code_range(bits, kind)
    return high - low if zero else max(-low, high)


def longest(x_size: int, w_size: int) -> int:
    """Return the longest inner length whose worst sum of products fits int32."""
    return (2**31 - 1) // (x_size * w_size)


def word_count(inner: int) -> int:
    """Return the words that hold one bit of ``inner`` codes."""
    return -(-inner // WORD)


def pack_planes(codes: torch.Tensor, bits: int, kind: str) -> torch.Tensor:
    """Return planes (bits, words, rows) int32 of codes (rows, k).

    Bit j of word i of plane s is bit s of code 32 i + j; bits past k are clear. Rows come last, so that a
    kernel reads neighboring rows in one load.

    Raises:
        KernelError: a code is outside the range of ``bits`` and ``kind``.
    """
    low, high = code_range(bits, kind)
    wide = codes.to(torch.int64)
    fits = (wide >= low) & (wide <= high)
    if kind == "binary":
        fits &= wide != 0
    if not bool(fits.all()):
        value = int(wide[~fits].flatten()[0])
        allowed = "-1 and 1" if kind == "binary" else f"{low} to {high}"
        raise KernelError(
            f"kernel 'bitplane_linear' got the code {value} for {bits} {kind} bits; allowed: {allowed}; "
            "clip the codes or take more bits"
        )
    if kind == "binary":
        wide = (wide > 0).to(torch.int64)
    rows, inner = codes.shape
    padded = torch.nn.functional.pad(wide, (0, word_count(inner) * WORD - inner))
    lanes = torch.arange(WORD, device=codes.device)
    planes = []
    for plane in range(bits):
        ones = ((padded >> plane) & 1).reshape(rows, word_count(inner), WORD)
        # Bit 31 makes the 64-bit sum exceed int32; the conversion keeps the low half, which is the word.
        planes.append((ones << lanes).sum(-1).to(torch.int32).t())
    return torch.stack(planes).contiguous()


def unpack_planes(planes: torch.Tensor, inner: int, kind: str) -> torch.Tensor:
    """Return the codes (rows, inner), int16, of planes (bits, words, rows)."""
    bits, words, rows = planes.shape
    lanes = torch.arange(WORD, dtype=torch.int32, device=planes.device)
    codes = torch.full((rows, inner), -offset(kind), dtype=torch.int16, device=planes.device)
    for plane, weight in zip(planes, plane_weights(bits, kind), strict=True):
        ones = ((plane.t().unsqueeze(-1) >> lanes) & 1).reshape(rows, words * WORD)[:, :inner]
        codes += ones.to(torch.int16) * weight
    return codes
