"""Which candidates to measure so that the latency model learns borders as well as layers.

Uniform candidates come first; then, from a pool of random mixes (independent choices at several rates, and
runs of equal choices, which is what searches end up proposing), in turn the next of the pool, so that few and
many changes are seen too, and greedily the one that shows the most pairs of neighbouring choices that were
seen least: a cheap stand-in for a D-optimal design of the pair terms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from automl.core.errors import SpaceError
from automl.core.rng import child_rng
from automl.evaluators.latency_features import latency_class

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from automl.core.candidate import Candidate
    from automl.searchspaces.dimension import Dimension
    from automl.searchspaces.graph import ModelGraph
    from automl.searchspaces.space import SearchSpace

__all__ = ["design_candidates", "draw_codes"]

_RATES = (0.1, 0.25, 0.5, 0.5, 0.75, 0.9)
_RUNS = (3, 6, 12)
_POOL = 6


def design_candidates(space: SearchSpace, graph: ModelGraph, count: int, seed: int) -> list[Candidate]:
    """Return ``count`` distinct candidates to measure (fewer when the space is smaller).

    Of options that run equally fast only the first is used.

    Raises:
        SpaceError: ``count`` is not positive.
    """
    if count < 1:
        raise SpaceError(f"a design of {count} candidates is empty; ask for at least 1")
    rng = child_rng(seed, "latency", "design")
    classes = _class_options(space)
    codes = list(_uniform(space, classes))[:count]
    seen = {tuple(c) for c in codes}
    pool = [c for c in draw_codes(space, _POOL * count, rng) if tuple(c) not in seen]
    pool = list({tuple(c): c for c in pool}.values())
    pairs = _pairs(space, graph)
    cards = space.cardinalities
    shown = [np.zeros((int(cards[i]), int(cards[j]))) for i, j in pairs]
    stack = np.array(pool, dtype=np.int64).reshape(len(pool), len(space))
    for code in codes:
        _show(shown, pairs, code)
    free = np.ones(len(stack), dtype=bool)
    gains = np.zeros(len(stack))
    while len(codes) < count and free.any():
        gains[:] = 0.0
        for table, (i, j) in zip(shown, pairs, strict=True):
            gains += 1.0 / (1.0 + table[stack[:, i], stack[:, j]])
        gains[~free] = -np.inf
        best = int(np.argmax(gains)) if len(codes) % 2 else int(np.argmax(free))
        free[best] = False
        codes.append(stack[best])
        _show(shown, pairs, stack[best])
    return [space.decode(c) for c in codes]


def draw_codes(space: SearchSpace, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return ``count`` random mixes, repaired, (count, n_dimensions); not necessarily distinct.

    Half choose independently per dimension (other than ``fp`` at a rate drawn from 0.1 to 0.9), half in runs
    of geometric length along the model. Only the first option of each latency class is drawn.
    """
    classes = _class_options(space)
    codes = np.tile(space.default_code, (count, 1))
    columns = [i for i, d in enumerate(space.dimensions) if d.kind == "precision"]
    for row in codes:
        for i, dimension in enumerate(space.dimensions):
            if dimension.kind == "float":
                row[i] = rng.integers(len(dimension.options))
        moved = _independent(len(columns), rng) if rng.random() < 0.5 else _runs(len(columns), rng)
        for column, change in zip(columns, moved, strict=True):
            options = classes[column]
            if change and len(options) > 1:
                row[column] = options[int(rng.integers(1, len(options)))]
            else:
                row[column] = options[0]
    return space.repair(codes)


def _independent(count: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    return np.asarray(rng.random(count) < rng.choice(_RATES))


def _runs(count: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    rate, length = rng.uniform(0.2, 0.8), rng.choice(_RUNS)
    out = np.zeros(count, dtype=bool)
    start = 0
    while start < count:
        stop = start + int(rng.geometric(1.0 / length))
        out[start:stop] = rng.random() < rate
        start = stop
    return out


def _class_options(space: SearchSpace) -> list[list[int]]:
    """Return, per dimension, the first option of each latency class, the default's class first."""
    out = []
    for dimension in space.dimensions:
        if dimension.kind != "precision":
            out.append([dimension.index(dimension.default)])
            continue
        first: dict[str, int] = {latency_class(str(dimension.default)): dimension.index(dimension.default)}
        for index, option in enumerate(dimension.options):
            first.setdefault(latency_class(str(option)), index)
        out.append(list(first.values()))
    return out


def _uniform(space: SearchSpace, classes: list[list[int]]) -> list[NDArray[np.int64]]:
    """Return the default and every class everywhere it exists, each with every float type."""
    names = {
        latency_class(str(d.options[i]))
        for d, options in zip(space.dimensions, classes, strict=True)
        if d.kind == "precision"
        for i in options
    }
    out: list[NDArray[np.int64]] = []
    for name in sorted(names, key=lambda n: (n != "fp", n != "w8a8", n)):
        code = space.default_code.copy()
        for column, (dimension, options) in enumerate(zip(space.dimensions, classes, strict=True)):
            if dimension.kind == "precision":
                code[column] = next(
                    (i for i in options if latency_class(str(dimension.options[i])) == name), options[0]
                )
        out.extend(_float_variants(space.dimensions, code))
    fixed = space.repair(np.array(out))
    return list({tuple(c): c for c in fixed}.values())


def _float_variants(dimensions: tuple[Dimension, ...], code: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    variants = [code]
    for column, dimension in enumerate(dimensions):
        if dimension.kind == "float":
            variants = [
                np.concatenate([v[:column], [option], v[column + 1 :]])
                for v in variants
                for option in range(len(dimension.options))
            ]
    return variants


def _pairs(space: SearchSpace, graph: ModelGraph) -> list[tuple[int, int]]:
    """Return pairs of dimensions that matter jointly: graph neighbours, and each with the float type."""
    column = {s: i for i, d in enumerate(space.dimensions) if d.kind == "precision" for s in d.sites}
    pairs = {
        (min(column[a], column[b]), max(column[a], column[b]))
        for a, b in graph.site_edges
        if a in column and b in column and column[a] != column[b]
    }
    for i, dimension in enumerate(space.dimensions):
        if dimension.kind == "float":
            pairs |= {(min(i, j), max(i, j)) for j in set(column.values())}
    return sorted(pairs)


def _show(shown: list[NDArray[np.float64]], pairs: list[tuple[int, int]], code: NDArray[np.int64]) -> None:
    for table, (i, j) in zip(shown, pairs, strict=True):
        table[code[i], code[j]] += 1.0
