"""How a unit's time is learned: a level per class and float type, plus effects of its neighbours.

``ms(unit) = level(own class, float type) + sum over slots of effect(slot, own kind, float type)``

where the own kind says whether the unit's own site runs in integers. Effects are shrunk in two steps: a
unit's effects towards those of all units with the same operator (scaled by the number of produced elements,
since a border moves that many), and those towards zero; leave-one-out error decides how strongly. A level
that was never measured comes from the other units of its operator, by work and produced elements.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import nnls

from automl.evaluators.latency_math import ridge_loo
from automl.evaluators.latency_math import winsorize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.evaluators.latency_features import FeatureMap
    from automl.evaluators.latency_features import Neighborhood
    from automl.evaluators.latency_features import SiteCodes

__all__ = ["UnitModel", "fit_units"]

_GATES = 2
_PRIOR_WEIGHT = 0.5


@dataclass(frozen=True, eq=False)
class UnitModel:
    """Coefficients of all units.

    Args:
        features: the columns they refer to.
        levels: milliseconds, (n_units, n_float_types, n_classes).
        effects: milliseconds per slot, (n_float_types, 2, n_units, n_slots); the second axis is 1 where the
            own site runs in integers.
    """

    features: FeatureMap
    levels: NDArray[np.float64]
    effects: NDArray[np.float64]

    @cached_property
    def _dense(self) -> NDArray[np.float64]:
        """Effects by feature column, (n_float_types, 2, width, n_units)."""
        n_floats, gates, n_units, n_slots = self.effects.shape
        dense = np.zeros((n_floats, gates, self.features.width, n_units))
        for unit in range(n_units):
            for slot in range(n_slots):
                column = self.features.columns[unit, slot]
                if column >= 0:
                    dense[:, :, column, unit] += self.effects[:, :, unit, slot]
        return dense

    def predict(self, matrix: NDArray[np.float64], codes: SiteCodes) -> NDArray[np.float64]:
        """Return milliseconds per unit, (n, n_units), of candidates with feature ``matrix`` (n, width)."""
        own = self.features.own
        has_own = own >= 0
        site = np.maximum(own, 0)
        out = np.empty((len(matrix), len(own)))
        for index in range(self.levels.shape[1]):
            rows = codes.floats == index
            if not rows.any():
                continue
            plain, integer = matrix[rows] @ self._dense[index, 0], matrix[rows] @ self._dense[index, 1]
            gate = codes.quantized[rows][:, site] & has_own
            klass = np.where(has_own, codes.classes[rows][:, site], 0)
            level = self.levels[np.arange(len(own))[None], index, klass]
            out[rows] = level + np.where(gate, integer, plain)
        return np.maximum(out, 0.0)


@dataclass
class _Cell:
    """Observations of one unit, own kind and float type: slots (n, d), times (n,), own classes (n,)."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    klass: NDArray[np.int64]

    def centered(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``values`` (n, ...) minus their mean within each class."""
        out = values.copy()
        for k in np.unique(self.klass):
            rows = self.klass == k
            out[rows] -= values[rows].mean(axis=0)
        return out


def fit_units(
    units: Sequence[Neighborhood],
    features: FeatureMap,
    matrix: NDArray[np.float64],
    codes: SiteCodes,
    times: NDArray[np.float64],
    shape: tuple[int, int],
) -> UnitModel:
    """Return the coefficients learned from unit times.

    Args:
        units: neighbourhoods.
        features: their columns.
        matrix: feature matrix (n, width).
        codes: the observed candidates.
        times: milliseconds (n, n_units).
        shape: numbers of float types and classes.
    """
    n_floats, n_classes = shape
    levels = np.full((len(units), n_floats, n_classes), np.nan)
    weights = np.zeros(levels.shape)
    effects = np.zeros((n_floats, _GATES, len(units), features.columns.shape[1]))
    kinds = list(dict.fromkeys(u.kind for u in units))
    for index in range(n_floats):
        for gate in range(_GATES):
            for kind in kinds:
                cells = {
                    i: cell
                    for i, u in enumerate(units)
                    if u.kind == kind
                    and (cell := _cell(i, features, matrix, codes, times, index, gate)) is not None
                }
                for i, (coefficients, cell) in _fit_kind(units, cells).items():
                    effects[index, gate, i] = coefficients
                    for k in np.unique(cell.klass):
                        rows = cell.klass == k
                        levels[i, index, k] = float((cell.y[rows] - cell.x[rows] @ coefficients).mean())
                        weights[i, index, k] = rows.sum()
    return UnitModel(features, _filled(units, levels, weights), effects)


def _cell(
    unit: int,
    features: FeatureMap,
    matrix: NDArray[np.float64],
    codes: SiteCodes,
    times: NDArray[np.float64],
    index: int,
    gate: int,
) -> _Cell | None:
    own = int(features.own[unit])
    chosen = codes.floats == index
    if own >= 0:
        chosen = chosen & (codes.quantized[:, own] == bool(gate))
    elif gate:
        return None
    rows = np.nonzero(chosen)[0]
    if not len(rows):
        return None
    columns = features.columns[unit]
    x = np.where(columns >= 0, matrix[np.ix_(rows, np.maximum(columns, 0))], 0.0)
    klass = codes.classes[rows, own] if own >= 0 else np.zeros(len(rows), dtype=np.int64)
    return _Cell(x, times[rows, unit], klass)


def _fit_kind(
    units: Sequence[Neighborhood], cells: dict[int, _Cell]
) -> dict[int, tuple[NDArray[np.float64], _Cell]]:
    """Return coefficients and cleaned cells of units of one operator."""
    found: dict[int, tuple[NDArray[np.float64], _Cell]] = {}
    pooled = _pooled(units, cells)
    for i, cell in cells.items():
        prior = pooled * units[i].size
        x, y = cell.centered(cell.x), cell.centered(cell.y)
        if len(y) < 4:
            found[i] = (prior, cell)
            continue
        first, _ = ridge_loo(x, y, prior)
        clean = _Cell(cell.x, winsorize(cell.y, cell.y - y + x @ first), cell.klass)
        found[i] = (ridge_loo(x, clean.centered(clean.y), prior)[0], clean)
    return found


def _pooled(units: Sequence[Neighborhood], cells: dict[int, _Cell]) -> NDArray[np.float64]:
    """Return effects per million produced elements common to the units of one operator, (n_slots,)."""
    if not cells:
        return np.zeros(0)
    n_slots = next(iter(cells.values())).x.shape[1]
    left, right, mass = np.zeros((n_slots, n_slots)), np.zeros(n_slots), 0.0
    for i, cell in cells.items():
        x, y, size = cell.centered(cell.x), cell.centered(cell.y), units[i].size
        left += size * x.T @ x
        right += x.T @ y
        mass += size
    return np.asarray(np.linalg.solve(left + (mass / len(cells)) * np.eye(n_slots), right), dtype=np.float64)


def _filled(
    units: Sequence[Neighborhood], levels: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return levels without gaps: rare ones shrunk to, missing ones taken from, a fit over the operator."""
    out = levels.copy()
    kinds = np.array([u.kind for u in units])
    basis = np.array([[u.work, u.size, 0.01] for u in units])
    for kind in dict.fromkeys(kinds):
        members = np.nonzero(kinds == kind)[0]
        for index in range(levels.shape[1]):
            for k in range(levels.shape[2]):
                seen = members[weights[members, index, k] > 0]
                if not len(seen):
                    continue
                scale = np.sqrt(weights[seen, index, k])
                fit, _ = nnls(basis[seen] * scale[:, None], np.maximum(levels[seen, index, k], 0.0) * scale)
                prior = basis[members] @ fit
                weight = weights[members, index, k]
                known = np.nan_to_num(levels[members, index, k])
                share = weight / (weight + (_PRIOR_WEIGHT if len(seen) > 2 else 0.0) + 1e-12)
                out[members, index, k] = share * known + (1.0 - share) * prior
    first = out[:, :, :1]
    anywhere = np.nan_to_num(np.nanmax(np.nan_to_num(out, nan=-1.0), axis=(1, 2), keepdims=True))
    return np.where(np.isnan(out), np.where(np.isnan(first), np.maximum(anywhere, 0.0), first), out)
