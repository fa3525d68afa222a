"""How the scales of a granularity lie over a tensor: as a matrix for kernels, by broadcasting for torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

__all__ = ["GRANULARITIES", "Layout", "layout_of", "scale_shape", "spread"]

GRANULARITIES = ("tensor", "channel", "group")


@dataclass(frozen=True)
class Layout:
    """A tensor seen as (rows, columns), and which scale an element takes.

    Args:
        rows: rows of the matrix view.
        columns: columns of the matrix view.
        mode: ``one`` for all; ``row``: scale ``row % period``; ``column``: scale ``column``;
            ``group``: scale ``row * period + column // group``.
        period: channels, or groups of a row.
        group: columns of one group.
    """

    rows: int
    columns: int
    mode: str
    period: int = 1
    group: int = 1


def layout_of(shape: Sequence[int], granularity: str, axis: int, group: int) -> Layout:
    """Return the matrix view of a tensor of ``shape`` with at least one axis; ``axis`` counts from 0."""
    if granularity == "channel":
        outer, channels, inner = math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])
        if axis == len(shape) - 1:
            return Layout(outer, channels, "column", channels)
        return Layout(outer * channels, inner, "row", channels)
    rows, columns = math.prod(shape[:-1]), shape[-1]
    if granularity == "group":
        return Layout(rows, columns, "group", -(-columns // group), group)
    return Layout(rows, columns, "one")


def scale_shape(shape: Sequence[int], granularity: str, axis: int, group: int) -> tuple[int, ...]:
    """Return the shape that scales of a tensor of ``shape`` have: (), (channels,) or (..., groups)."""
    if granularity == "tensor":
        return ()
    if granularity == "channel":
        return (shape[axis],)
    return (*shape[:-1], -(-shape[-1] // group))


def spread(
    scale: torch.Tensor, shape: Sequence[int], granularity: str, axis: int, group: int
) -> torch.Tensor:
    """Return scales (or zero points) that broadcast against a tensor of ``shape``."""
    if granularity == "tensor":
        return scale
    if granularity == "channel":
        return scale.reshape([-1 if i == axis else 1 for i in range(len(shape))])
    return scale.repeat_interleave(group, dim=-1)[..., : shape[-1]]
