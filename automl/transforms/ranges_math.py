"""Range estimation as pure functions: weights per row, activations from histograms."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from automl.core.errors import ConfigError
from automl.transforms.quantization_math import MIN_SCALE
from automl.transforms.quantization_math import affine_parameters
from automl.transforms.quantization_math import code_limits

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "add_to_histogram",
    "grow_histogram",
    "lp_range",
    "lp_row_scales",
    "max_row_scales",
    "percentile_range",
]


def max_row_scales(rows: NDArray[Any], bits: int) -> NDArray[np.float32]:
    """Return the step of each row that loses no weight to clipping.

    Args:
        rows: (n_rows, n_columns).
        bits: weight bits.
    """
    low, high = code_limits(bits)
    needed = np.maximum(rows.max(axis=1) / high, rows.min(axis=1) / low)
    steps: NDArray[np.float32] = np.maximum(needed, MIN_SCALE).astype(np.float32)
    return steps


def lp_row_scales(
    rows: NDArray[Any],
    bits: int,
    *,
    p: float = 2.4,
    steps: int = 24,
    importance: NDArray[Any] | None = None,
) -> NDArray[np.float32]:
    """Return the step of each row with the least ``sum importance * |w - w^|**p`` on a shrink grid.

    Args:
        rows: (n_rows, n_columns).
        bits: weight bits.
        p: exponent; 2 is the mean squared error, large p approaches the maximum.
        steps: points of the grid: half from the lossless step down to a fifth of it, half around the best.
        importance: (n_columns,) or (n_rows, n_columns) non-negative weights, or None.

    Reference:
        PD-Quant, arXiv 2212.07048 (L2.4 search); the importance is ours.
    """
    rows = rows.astype(np.float32)
    low, high = code_limits(bits)
    top = max_row_scales(rows, bits)
    reach = np.maximum(np.abs(rows).max(axis=1, keepdims=True), MIN_SCALE)
    best = np.full(len(rows), np.inf)
    scale = top.copy()
    coarse = np.linspace(1.0, 0.2, max(2, steps // 2))
    width = coarse[0] - coarse[1]
    fine = np.linspace(-width, width, steps - steps // 2 + 2)[1:-1]
    chosen = np.ones_like(top)
    for i, shrink in enumerate([*coarse, *fine]):
        if i == len(coarse):
            chosen = scale / top
        shrinks = np.full_like(top, shrink) if i < len(coarse) else np.minimum(chosen + np.float32(shrink), 1)
        step = (top * shrinks)[:, None]
        error = np.abs(rows - np.clip(np.rint(rows / step), low, high) * step)
        wide = error if p <= 8 else error.astype(np.float64) / reach
        error = wide * wide if p == 2 else wide**p
        loss = (error if importance is None else error * importance).sum(axis=1)
        better = loss < best
        best[better] = loss[better]
        scale[better] = step[better, 0]
    return np.maximum(scale, MIN_SCALE)


def grow_histogram(
    counts: NDArray[np.float64], reach: float, needed: float
) -> tuple[NDArray[np.float64], float]:
    """Double a zero-centred histogram's reach until it covers ``needed``, merging bins exactly.

    Args:
        counts: (n_bins,), n_bins a multiple of 4, over [-reach, reach].
        reach: half width.
        needed: largest magnitude to cover.
    """
    quarter = len(counts) // 4
    while reach < needed:
        merged = np.zeros_like(counts)
        merged[quarter:-quarter] = counts.reshape(-1, 2).sum(axis=1)
        counts, reach = merged, reach * 2
    return counts, reach


def add_to_histogram(
    counts: NDArray[np.float64], reach: float, values: NDArray[Any]
) -> tuple[NDArray[np.float64], float]:
    """Return the histogram with ``values`` added, grown when they exceed its reach."""
    if reach <= 0:
        reach = float(np.abs(values).max(initial=0)) or 1.0
    counts, reach = grow_histogram(counts, reach, float(np.abs(values).max(initial=0)))
    bins = ((values.reshape(-1) + reach) * (len(counts) / (2 * reach))).astype(np.int64)
    return counts + np.bincount(np.clip(bins, 0, len(counts) - 1), minlength=len(counts)), reach


def percentile_range(
    counts: NDArray[np.float64], reach: float, low: float, high: float, *, percentile: float = 99.99
) -> tuple[float, float]:
    """Return the range that holds ``percentile`` % of the values, the tails cut equally, within [low, high].

    Raises:
        ConfigError: the percentile is outside (50, 100].
    """
    if not 50 < percentile <= 100:
        raise ConfigError(f"the range percentile is {percentile}; give a number above 50 and at most 100")
    if percentile == 100:
        return low, high
    edges = np.linspace(-reach, reach, len(counts) + 1)
    share = np.cumsum(counts) / max(counts.sum(), 1.0)
    tail = (100 - percentile) / 100
    first = int(np.searchsorted(share, tail, side="right"))
    last = int(np.searchsorted(share, 1 - tail, side="left"))
    last = min(last, len(counts) - 1)
    return max(low, float(edges[min(first, last)])), min(high, float(edges[last + 1]))


def lp_range(
    counts: NDArray[np.float64],
    reach: float,
    low: float,
    high: float,
    *,
    bits: int = 8,
    p: float = 2.4,
    steps: int = 60,
) -> tuple[float, float]:
    """Return the range with the least ``sum counts * |x - x^|**p``, each end searched on a shrink grid.

    Ends are searched together first, then one after the other, twice; deterministic.

    Args:
        counts: (n_bins,) over [-reach, reach].
        reach: half width of the histogram.
        low: least observed value.
        high: greatest observed value.
        bits: activation bits.
        p: exponent.
        steps: points of each grid, from the full range down to a twentieth of it.
    """
    edges = np.linspace(-reach, reach, len(counts) + 1)
    centres = (edges[:-1] + edges[1:]) / 2
    used = counts > 0
    centres, mass = np.clip(centres[used], low, high), counts[used]
    low, high = min(low, 0.0), max(high, 0.0)
    if not len(mass) or low == high:
        return low, high

    def loss(bottom: float, top: float) -> float:
        scale, zero = affine_parameters(bottom, top, bits)
        rounded = (np.clip(np.rint(centres / scale) + zero, 0, 2**bits - 1) - zero) * scale
        return float((mass * np.abs(centres - rounded) ** p).sum())

    grid = np.linspace(1.0, 0.05, steps)
    _, a = min((loss(low * g, high * g), -g) for g in grid)
    bottom, top = -a * low, -a * high
    for _ in range(2):
        if high > 0:
            top = high * -min((loss(bottom, high * g), -g) for g in grid)[1]
        if low < 0:
            bottom = low * -min((loss(low * g, top), -g) for g in grid)[1]
    return bottom, top
