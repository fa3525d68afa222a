"""N:M sparse rows compressed: of 8 columns, the 4 kept values in order, and a byte that says which they are.

Both patterns keep 4 of 8 columns, 2:4 two in either half, so one format holds them: half the values and one
bit a column, as much as two 2-bit indices per four columns take.
"""

from __future__ import annotations

import torch

from automl.core.errors import KernelError

__all__ = ["GROUP", "KEPT", "PATTERNS", "group_count", "pack_nm", "prune_nm", "unpack_nm"]

#: Pattern -> (most values that are not zero, of so many columns).
PATTERNS = {"2:4": (2, 4), "4:8": (4, 8)}

#: Columns of one byte of the mask, and values stored for them.
GROUP = 8
KEPT = 4


def group_count(inner: int) -> int:
    """Return the bytes of mask of a row of ``inner`` columns."""
    return -(-inner // GROUP)


def _pattern(name: str) -> tuple[int, int]:
    if name not in PATTERNS:
        raise KernelError(
            f"kernel 'nm_linear' got pattern={name}; allowed: {', '.join(PATTERNS)}; choose one of them"
        )
    return PATTERNS[name]


def prune_nm(weight: torch.Tensor, pattern: str, importance: torch.Tensor | None = None) -> torch.Tensor:
    """Return the weight (n, k) with all but the most important columns of each group set to zero.

    Args:
        weight: (n, k); the last group may be short.
        pattern: ``2:4`` or ``4:8``.
        importance: (n, k), larger stays; the size of the weight when None. Among equals the first stay.
    """
    most, of = _pattern(pattern)
    rows, inner = weight.shape
    score = (weight if importance is None else importance).double().abs()
    score = torch.nn.functional.pad(score, (0, -inner % of), value=-1.0).reshape(rows, -(-inner // of), of)
    order = score.argsort(dim=-1, descending=True, stable=True)
    keep = torch.zeros_like(score, dtype=torch.bool).scatter_(-1, order[..., :most], value=True)
    return weight.where(keep.flatten(1)[:, :inner], torch.zeros_like(weight))


def pack_nm(weight: torch.Tensor, pattern: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return values (n, 4 ceil(k / 8)) of the weight's type and the mask (n, ceil(k / 8)) uint8.

    Bit j of byte g says that column 8 g + j is stored. A group with fewer values fills up with zeros.

    Raises:
        KernelError: a group has more values than the pattern allows, or one is not finite.
    """
    most, of = _pattern(pattern)
    rows, inner = weight.shape
    padded = torch.nn.functional.pad(weight, (0, group_count(inner) * GROUP - inner))
    parts = padded.reshape(rows, group_count(inner) * (GROUP // of), of)
    if weight.is_floating_point() and not bool(torch.isfinite(weight).all()):
        raise KernelError(
            "kernel 'nm_linear' got a weight with NaN or infinity; allowed: finite values; check how the "
            "layer was trained"
        )
    crowded = (parts != 0).sum(-1) > most
    if bool(crowded.any()):
        row, part = (int(i) for i in crowded.nonzero()[0])
        raise KernelError(
            f"kernel 'nm_linear' got {int((parts[row, part] != 0).sum())} values in columns {part * of} "
            f"to {part * of + of - 1} of row {row}; allowed: {most} of {of} for {pattern}; "
            "prune the weight first"
        )
    # Values first, in their order; then zeros, which fill up.
    order = (parts == 0).to(torch.uint8).argsort(dim=-1, stable=True)[..., :most].sort(-1).values
    values = parts.gather(-1, order).flatten(1)
    bits = torch.zeros(parts.shape, dtype=torch.int32, device=weight.device).scatter_(-1, order, 1)
    lanes = torch.arange(GROUP, device=weight.device)
    mask = (bits.reshape(rows, group_count(inner), GROUP) << lanes).sum(-1).to(torch.uint8)
    return values.contiguous(), mask


def unpack_nm(values: torch.Tensor, mask: torch.Tensor, inner: int) -> torch.Tensor:
    """Return the dense weight (n, inner) of the values' type."""
    rows, groups = mask.shape
    lanes = torch.arange(GROUP, device=mask.device)
    held = ((mask.unsqueeze(-1).int() >> lanes) & 1).bool()
    place = (held.int().cumsum(-1) - 1).clamp_(0, KEPT - 1)
    found = values.reshape(rows, groups, KEPT).gather(-1, place.long())
    return found.where(held, torch.zeros_like(found)).reshape(rows, groups * GROUP)[:, :inner]
