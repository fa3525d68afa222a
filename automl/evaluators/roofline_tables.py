"""A roofline as unary and pair terms: the form in which solvers and strategies take prices.

Operators add up, and an option's time depends on the float type at most, so the terms are exact: one a
dimension, and one for each pair of the float dimension with another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from automl.evaluators.latency_tables import LatencyTables

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from automl.evaluators.roofline import Roofline
    from automl.searchspaces.dimension import Dimension
    from automl.searchspaces.space import SearchSpace

__all__ = ["roofline_tables"]


def roofline_tables(roofline: Roofline, space: SearchSpace, *, float_type: str = "f32") -> LatencyTables:
    """Return terms in milliseconds whose sum is ``roofline.latency_ms`` of every candidate of ``space``.

    Args:
        roofline: of the space's model.
        space: dimensions of kind ``precision`` and ``float`` get terms, others zeros.
        float_type: used when the space has no dimension ``float:model``.
    """
    at = next((i for i, d in enumerate(space.dimensions) if d.kind == "float"), None)
    types = [float_type] if at is None else [str(o) for o in space.dimensions[at].options]
    first = types[0]
    free = {s for d in space.dimensions if d.kind == "precision" for s in d.sites}
    fixed = {
        t: roofline.rest_ms(t) + sum(roofline.site_ms(s, "fp", t) for s in roofline.by_site if s not in free)
        for t in types
    }
    unary: list[NDArray[np.float64]] = []
    pairwise: dict[tuple[int, int], NDArray[np.float64]] = {}
    for index, dimension in enumerate(space.dimensions):
        if index == at:
            unary.append(np.array([fixed[t] - fixed[first] for t in types]))
            continue
        if dimension.kind != "precision":
            unary.append(np.zeros(len(dimension.options)))
            continue
        times = {t: _times(roofline, dimension, t) for t in types}
        unary.append(times[first])
        if at is not None:
            terms = np.stack([times[t] - times[first] for t in types])
            pairwise[(min(at, index), max(at, index))] = terms if at < index else terms.T
    return LatencyTables(tuple(unary), pairwise, fixed[first], 0.0)


def _times(roofline: Roofline, dimension: Dimension, float_type: str) -> NDArray[np.float64]:
    return np.array(
        [sum(roofline.site_ms(s, str(o), float_type) for s in dimension.sites) for o in dimension.options]
    )
