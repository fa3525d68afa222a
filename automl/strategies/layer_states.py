"""What a layer-by-layer agent sees of a dimension: place, kind, number of options, and what they cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.searchspaces.space import SearchSpace
    from automl.strategies.base import AdditiveTables

__all__ = ["layer_states", "mean_curves", "price_features"]

#: Waves of the place, and points at which a price curve is read.
_WAVES, _POINTS = 6, 5


def price_features(curves: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the shape and the size of each dimension's prices, (n_dimensions, 6).

    Five readings of the curve, evenly spaced over its options and scaled to its own range, and the logarithm
    of that range scaled over the dimensions, for layers differ by orders of magnitude.

    Args:
        curves: prices of the options of each dimension, (n_options,).
    """
    at = np.linspace(0.0, 1.0, _POINTS)
    spans = np.array([np.ptp(c) for c in curves])
    rows = []
    for curve, span in zip(curves, spans, strict=True):
        own = (curve - curve.min()) / span if span > 0 else np.zeros(len(curve))
        rows.append(
            np.interp(at, np.linspace(0.0, 1.0, len(curve)), own) if len(curve) > 1 else own[0] + 0 * at
        )
    least = spans[spans > 0].min(initial=1.0)
    return np.column_stack([np.array(rows), _scaled(np.log(np.maximum(spans, least)))])


def layer_states(
    space: SearchSpace, tables: AdditiveTables | None, metrics: Sequence[str]
) -> NDArray[np.float32]:
    """Return one row of numbers in [-1, 1] a dimension, (n_dimensions, width).

    Place (and waves of it, so that neighbours can be told apart), kind, number of options, order, default
    option, whether the dimension only matters under a condition; and for every priced metric
    :func:`price_features`, pair terms averaged over the partner's options.

    Args:
        space: the space.
        tables: prices, or None.
        metrics: those whose prices are shown; unpriced ones are left out.
    """
    n = len(space)
    place = np.arange(n) / max(n - 1, 1)
    kinds = list(dict.fromkeys(d.kind for d in space.dimensions))
    conditional = {c.dimension for c in space.conditions}
    columns = [place]
    for wave in range(_WAVES):
        angle = np.pi * 2.0**wave * place
        columns += [np.sin(angle), np.cos(angle)]
    columns += [np.array([float(d.kind == kind) for d in space.dimensions]) for kind in kinds]
    columns += [
        _scaled(np.log(space.cardinalities)),
        np.array([float(d.ordinal) for d in space.dimensions]),
        space.default_code / np.maximum(space.cardinalities - 1, 1),
        np.array([float(d.name in conditional) for d in space.dimensions]),
    ]
    for metric in metrics:
        if tables is not None and metric in tables.unary:
            columns.append(price_features(mean_curves(tables, metric)))
    return np.column_stack(columns).astype(np.float32)


def mean_curves(tables: AdditiveTables, metric: str) -> list[NDArray[np.float64]]:
    """Return what each option costs on its own, pair terms averaged over the partner; (n_options,) each."""
    curves = [np.asarray(values, dtype=np.float64).copy() for values in tables.unary[metric]]
    for (i, j), values in tables.pairwise.get(metric, {}).items():
        curves[i] += values.mean(axis=1)
        curves[j] += values.mean(axis=0)
    return curves


def _scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    span = np.ptp(values)
    scaled: NDArray[np.float64] = (values - values.min()) / span if span > 0 else np.zeros(len(values))
    return scaled
