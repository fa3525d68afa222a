"""Unary and pair terms that stand for the latency model where a solver needs a quadratic function.

The model is linear in single sites, pairs of neighbours, and conditions over more than two sites (an addition
is fused when everything around it is quantized). The first two are pair terms already; the last kind is
fitted. So the tables are a ridge regression of the model's own predictions on unary and pair terms over
random mixes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from automl.core.rng import child_rng
from automl.evaluators.latency_design import draw_codes
from automl.evaluators.latency_features import latency_class

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from automl.evaluators.latency_model import LatencyModel
    from automl.searchspaces.space import SearchSpace

__all__ = ["LatencyTables", "latency_tables"]

_RIDGE = 0.05
_PER_PARAMETER = 6
_NEAR_GROUP = 5


@dataclass(frozen=True, eq=False)
class LatencyTables:
    """Terms in milliseconds, in the layout of the strategies' additive tables.

    Args:
        unary: one array per dimension, (n_options,).
        pairwise: {(i, j): (n_options_i, n_options_j)} for i < j.
        constant: milliseconds of the additive constant.
        error: mean absolute difference to the model over mixes that were not fitted, a fraction.
    """

    unary: tuple[NDArray[np.float64], ...]
    pairwise: Mapping[tuple[int, int], NDArray[np.float64]]
    constant: float
    error: float

    def predict(self, codes: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return milliseconds (n,) for codes (n, n_dimensions)."""
        total = np.full(len(codes), self.constant)
        for column, values in enumerate(self.unary):
            total += values[codes[:, column]]
        for (i, j), values in self.pairwise.items():
            total += values[codes[:, i], codes[:, j]]
        return total


def latency_tables(
    model: LatencyModel,
    space: SearchSpace,
    *,
    float_type: str = "f32",
    seed: int = 0,
    max_pairs: int | None = None,
) -> LatencyTables:
    """Return the best unary and pair terms for the model over ``space``.

    Args:
        model: the fitted model.
        space: dimensions of kind ``precision`` and ``float`` get terms, others zeros.
        float_type: used when the space has no dimension ``float:model``. With that dimension the terms hold
            for both types on average; for one type, give a space without it.
        seed: of the random mixes.
        max_pairs: keep only so many pair terms, the largest; all when None.
    """
    rng = child_rng(seed, "latency", "tables")
    lookup = _quantized_options(space)
    single = _single_terms(space)
    pairs = _candidate_pairs(model, space, lookup)
    count = max(400, _PER_PARAMETER * (len(single) + len(pairs)))
    codes = draw_codes(space, count + count // 4, rng)
    values, _ = model.predict_codes(space, codes, float_type)
    train, test = slice(0, count), slice(count, None)
    design = _matrix(codes, single, pairs, lookup)
    weights = _ridge(design[train], values[train])
    if max_pairs is not None and len(pairs) > max_pairs:
        size = np.abs(weights[1 + len(single) :])
        pairs = [pairs[i] for i in sorted(np.argsort(-size)[:max_pairs])]
        design = _matrix(codes, single, pairs, lookup)
        weights = _ridge(design[train], values[train])
    error = float(np.mean(np.abs(design[test] @ weights / values[test] - 1.0)))
    unary = [np.zeros(len(d.options)) for d in space.dimensions]
    for (column, options), weight in zip(single, weights[1:], strict=False):
        unary[column][list(options)] += weight
    pairwise = {
        (i, j): weight * np.outer(lookup[i], lookup[j])
        for (i, j), weight in zip(pairs, weights[1 + len(single) :], strict=True)
    }
    return LatencyTables(tuple(unary), pairwise, float(weights[0]), error)


def _quantized_options(space: SearchSpace) -> list[NDArray[np.float64]]:
    """Return, per dimension, 1 for options that change what neighbours cost."""
    out: list[NDArray[np.float64]] = []
    for dimension in space.dimensions:
        if dimension.kind == "precision":
            flags = [latency_class(str(o)) == "w8a8" for o in dimension.options]
        else:
            flags = [dimension.kind == "float" and i > 0 for i in range(len(dimension.options))]
        out.append(np.array(flags, dtype=np.float64))
    return out


def _single_terms(space: SearchSpace) -> list[tuple[int, tuple[int, ...]]]:
    """Return (dimension, options of one latency class) of every class but the first of each dimension."""
    out: list[tuple[int, tuple[int, ...]]] = []
    for column, dimension in enumerate(space.dimensions):
        if dimension.kind not in {"precision", "float"}:
            continue
        classes: dict[str, list[int]] = {}
        for index, option in enumerate(dimension.options):
            name = latency_class(str(option)) if dimension.kind == "precision" else str(option)
            classes.setdefault(name, []).append(index)
        out.extend((column, tuple(options)) for options in list(classes.values())[1:])
    return out


def _candidate_pairs(
    model: LatencyModel, space: SearchSpace, lookup: list[NDArray[np.float64]]
) -> list[tuple[int, int]]:
    column = {s: i for i, d in enumerate(space.dimensions) if d.kind == "precision" for s in d.sites}
    place = {i: column[s] for i, s in enumerate(model.sites) if s in column}
    found: set[tuple[int, int]] = set()
    for unit in model.units:
        near = [s for s in unit.singles if s >= 0]
        around = [(unit.own, s) for s in near] if unit.own >= 0 else []
        for group in (*(g for g in unit.groups if len(g) <= _NEAR_GROUP), tuple(near[:2])):
            around += [(a, b) for n, a in enumerate(group) for b in group[:n]]
        for a, b in around:
            if a in place and b in place and place[a] != place[b]:
                found.add((min(place[a], place[b]), max(place[a], place[b])))
    for i, dimension in enumerate(space.dimensions):
        if dimension.kind == "float" and len(dimension.options) > 1:
            found |= {(min(i, j), max(i, j)) for j in set(place.values())}
    return sorted(p for p in found if lookup[p[0]].any() and lookup[p[1]].any())


def _matrix(
    codes: NDArray[np.int64],
    single: list[tuple[int, tuple[int, ...]]],
    pairs: list[tuple[int, int]],
    lookup: list[NDArray[np.float64]],
) -> NDArray[np.float64]:
    flags = np.stack([values[codes[:, i]] for i, values in enumerate(lookup)], axis=1)
    columns = [np.ones(len(codes))]
    columns += [np.isin(codes[:, i], options).astype(np.float64) for i, options in single]
    columns += [flags[:, i] * flags[:, j] for i, j in pairs]
    return np.stack(columns, axis=1)


def _ridge(design: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    penalty = np.full(design.shape[1], _RIDGE)
    penalty[0] = 0.0
    left = design.T @ design + np.diag(penalty)
    return np.asarray(np.linalg.solve(left, design.T @ values), dtype=np.float64)
