"""What the latency model looks at: profile nodes attributed to graph nodes, and each node's neighbourhood.

A runtime's profile lists executed nodes: layers with everything fused into them, and nodes that exist only
because of precision borders (reorders, conversions, unfused additions). Every executed node is attributed to
one graph node, its *unit*; a unit's time is then explained by the options of the sites around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from automl.core.errors import EvaluationError
from automl.transforms.precision import parse_precision

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Iterator
    from collections.abc import Mapping
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.searchspaces.graph import GraphNode
    from automl.searchspaces.graph import ModelGraph
    from automl.searchspaces.space import SearchSpace
    from automl.targets.base import NodeProfile

__all__ = [
    "Attributor",
    "FeatureMap",
    "Neighborhood",
    "SiteCodes",
    "latency_class",
    "neighborhoods",
]

_JOINS = frozenset({"add", "concat", "mul", "mean", "avg_pool"})
_NEAREST = 3
_FAR = 24


@lru_cache(maxsize=64)
def latency_class(option: str) -> str:
    """Return the class of options that run equally fast: every ``wBa8`` runs the int8 kernels of ``w8a8``.

    Raises:
        SpaceError: ``option`` is no precision option.
    """
    return "w8a8" if parse_precision(option).activation_bits is not None else option


class Attributor:
    """Finds the graph node that an executed node belongs to.

    Args:
        graph: the traced graph whose value names the exported model carries.
    """

    def __init__(self, graph: ModelGraph) -> None:
        self._nodes = graph.node_by_name
        self._found: dict[str, str | None] = {}

    def _owner(self, text: str) -> str | None:
        """Return the graph node called ``text``, or by its longest prefix that ends at a separator."""
        if text in self._nodes:
            return text
        for end in range(len(text) - 1, 0, -1):
            if not text[end].isalnum() and text[:end] in self._nodes:
                return text[:end]
        return None

    def _consumer(self, text: str) -> str | None:
        """Return the graph node whose name ends ``text``: reorders are ``<producer>_..._<consumer>``."""
        for start in range(1, len(text)):
            if not text[start - 1].isalnum() and self._owner(text[start:]) is not None:
                return self._owner(text[start:])
        return None

    def _named(self, text: str) -> str | None:
        if text not in self._found:
            self._found[text] = self._owner(text)
        return self._found[text]

    def owner(self, node: NodeProfile) -> str | None:
        """Return the unit of one executed node, or None when its names say nothing."""
        found = [o for o in map(self._named, node.origins) if o is not None]
        for name in found:
            if self._nodes[name].site is not None:
                return name
        if found:
            return found[0]
        return self._consumer(node.name) or self._named(node.name)

    def times(self, profile: Sequence[NodeProfile]) -> dict[str, float]:
        """Return milliseconds per unit; an executed node without a known name goes to the next known one."""
        totals: dict[str, float] = {}
        waiting = 0.0
        last = None
        for node in profile:
            unit = self.owner(node)
            if unit is None:
                waiting += node.ms
                continue
            totals[unit] = totals.get(unit, 0.0) + node.ms + waiting
            waiting, last = 0.0, unit
        if waiting and last is not None:
            totals[last] += waiting
        return totals


@dataclass(frozen=True)
class Neighborhood:
    """The sites whose options explain the time of one unit.

    Args:
        unit: graph node name.
        kind: operator and shape class; units of a kind share statistics.
        own: position of the unit's own site, for other units of the nearest producing site, -1 for none.
        work: multiply-accumulates in millions (0 without a site).
        size: produced elements in millions, at least 1e-6.
        singles: site positions by slot (nearest producers, nearest readers, sites that read the same value),
            -1 where a slot is empty.
        groups: site positions by slot whose common quantization matters (all feeders and readers of the next
            join, of the join before, all producers, all readers); empty tuples where a slot is empty.
    """

    unit: str
    kind: str
    own: int
    work: float
    size: float
    singles: tuple[int, ...]
    groups: tuple[tuple[int, ...], ...]


class _Walker:
    def __init__(self, graph: ModelGraph) -> None:
        self.graph = graph
        self.nodes = graph.node_by_name
        self.position = {s.name: i for i, s in enumerate(graph.sites)}
        self.order = {n.name: i for i, n in enumerate(graph.nodes)}

    def _step(self, node: GraphNode, up: bool) -> Iterable[str]:
        if up:
            return [i for i in dict.fromkeys(node.inputs) if i in self.nodes]
        return self.graph.consumers[node.name]

    def sites(self, start: str, *, up: bool) -> list[int]:
        """Return positions of the sites reached from ``start`` (itself excluded), nearest first."""
        seen = {start}
        frontier = [start]
        found: dict[int, None] = {}
        while frontier and len(found) < _FAR:
            following: list[str] = []
            for name in frontier:
                for other in self._step(self.nodes[name], up):
                    if other in seen:
                        continue
                    seen.add(other)
                    site = self.nodes[other].site
                    if site is None:
                        following.append(other)
                    else:
                        found[self.position[site]] = None
            frontier = sorted(following, key=lambda n: -self.order[n] if up else self.order[n])
        return list(found)

    def join(self, start: str, *, up: bool) -> str | None:
        """Return the first join reached from ``start`` through operations that are no site."""
        frontier = [start]
        seen = {start}
        while frontier:
            following: list[str] = []
            for name in frontier:
                for other in self._step(self.nodes[name], up):
                    node = self.nodes[other]
                    if other in seen or node.site is not None:
                        continue
                    if node.op in _JOINS:
                        return other
                    seen.add(other)
                    following.append(other)
            frontier = following
        return None

    def around(self, join: str | None, limit: int) -> tuple[int, ...]:
        """Return the nearest ``limit`` feeders and readers of a join, sorted."""
        if join is None:
            return ()
        near = self.sites(join, up=True)[:limit] + self.sites(join, up=False)[:limit]
        return tuple(sorted(set(near)))


def _kind(node: GraphNode, graph: ModelGraph) -> str:
    if node.site is None:
        return node.op
    site = graph.site(node.site)
    if site.op != "conv":
        return site.op
    kernel = "x".join(map(str, site.weight_shape[2:]))
    return f"{'depthwise' if site.depthwise else 'conv'}{kernel}"


def _slots(values: Sequence[int], count: int) -> Iterator[int]:
    for index in range(count):
        yield values[index] if index < len(values) else -1


def neighborhoods(graph: ModelGraph, units: Iterable[str]) -> list[Neighborhood]:
    """Return the neighbourhood of each unit (graph node names), in the order given."""
    walker = _Walker(graph)
    found = []
    for unit in units:
        node = graph.node_by_name[unit]
        before = walker.sites(unit, up=True)
        own = walker.position[node.site] if node.site is not None else (before[0] if before else -1)
        after = walker.sites(unit, up=False)
        beside = [
            s
            for name in node.inputs[:1]
            if name in graph.node_by_name
            for s in walker.sites(name, up=False)
            if s != own
        ]
        above = unit if node.op in _JOINS else walker.join(unit, up=True)
        below = walker.join(unit, up=False)
        singles = (*_slots(before, _NEAREST), *_slots(after, _NEAREST), *_slots(beside, 2))
        groups = [
            walker.around(below, 2),
            walker.around(below, _FAR),
            walker.around(above, 2),
            walker.around(above, _FAR),
            tuple(sorted(before)),
            tuple(sorted(after)),
        ]
        site = graph.site(node.site) if node.site is not None else None
        found.append(
            Neighborhood(
                unit=unit,
                kind=_kind(node, graph),
                own=own,
                work=site.macs / 1e6 if site is not None else 0.0,
                size=max(float(np.prod(node.shape[1:], dtype=np.float64)) / 1e6, 1e-6),
                singles=singles,
                groups=tuple(g if len(g) > 1 else () for g in groups),
            )
        )
    return found


class FeatureMap:
    """Turns quantized-or-not matrices into feature columns shared by all units.

    One column per site (1 when its activations are 8-bit), then one per distinct group (1 when every site of
    the group is).

    Args:
        n_sites: number of sites.
        units: neighbourhoods; ``columns[u, s]`` is the column of slot s of unit u, -1 where the slot is
            empty.
    """

    def __init__(self, n_sites: int, units: Sequence[Neighborhood]) -> None:
        places: dict[tuple[int, ...], int] = {}
        rows = []
        for unit in units:
            joint = [places.setdefault(g, n_sites + len(places)) if g else -1 for g in unit.groups]
            rows.append([*unit.singles, *joint])
        self.n_sites = n_sites
        self.groups = tuple(places)
        self.columns: NDArray[np.int64] = np.array(rows, dtype=np.int64)
        self.own: NDArray[np.int64] = np.array([u.own for u in units], dtype=np.int64)
        self.width = n_sites + len(places)

    def matrix(self, quantized: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return features (n, width) of ``quantized`` (n, n_sites)."""
        out = np.empty((len(quantized), self.width))
        out[:, : self.n_sites] = quantized
        for index, group in enumerate(self.groups):
            out[:, self.n_sites + index] = quantized[:, list(group)].all(axis=1)
        return out


@dataclass(frozen=True, eq=False)
class SiteCodes:
    """Candidates as the model sees them.

    Args:
        classes: position of each site's latency class, (n, n_sites).
        quantized: whether a site has 8-bit activations, (n, n_sites).
        floats: position of the float type, (n,).
    """

    classes: NDArray[np.int64]
    quantized: NDArray[np.bool_]
    floats: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        sites: Sequence[str],
        classes: Sequence[str],
        float_types: Sequence[str],
        precisions: Sequence[Mapping[str, str]],
        floats: Sequence[str],
    ) -> SiteCodes:
        """Return the codes of precision options by site name; a missing site is ``fp``.

        Raises:
            EvaluationError: an option's class or a float type is not among ``classes`` and ``float_types``.
        """
        rows = [[_position(row.get(s, "fp"), classes) for s in sites] for row in precisions]
        return cls._made(
            np.array(rows, dtype=np.int64).reshape(len(rows), len(sites)),
            classes,
            np.array([_float_position(f, float_types) for f in floats], dtype=np.int64),
        )

    @classmethod
    def of_space(
        cls,
        sites: Sequence[str],
        classes: Sequence[str],
        float_types: Sequence[str],
        space: SearchSpace,
        codes: NDArray[np.int64],
        float_type: str,
    ) -> SiteCodes:
        """Return the codes of members (n, n_dimensions) of ``space``.

        Raises:
            EvaluationError: as :meth:`of`.
        """
        place = {s: i for i, s in enumerate(sites)}
        out = np.full((len(codes), len(sites)), classes.index("fp"), dtype=np.int64)
        floats = np.full(len(codes), -1, dtype=np.int64)
        for column, dimension in enumerate(space.dimensions):
            if dimension.kind == "precision":
                lookup = np.array([_position(str(o), classes) for o in dimension.options])
                for site in dimension.sites:
                    if site in place:
                        out[:, place[site]] = lookup[codes[:, column]]
            elif dimension.kind == "float":
                lookup = np.array([_float_position(str(o), float_types) for o in dimension.options])
                floats = lookup[codes[:, column]]
        if (floats < 0).any():
            floats[:] = _float_position(float_type, float_types)
        return cls._made(out, classes, floats)

    @classmethod
    def _made(cls, codes: NDArray[np.int64], classes: Sequence[str], floats: NDArray[np.int64]) -> SiteCodes:
        integer = np.array([c == "w8a8" for c in classes])
        return cls(codes, integer[codes], floats)

    def take(self, rows: NDArray[np.int64]) -> SiteCodes:
        """Return the candidates at ``rows``."""
        return SiteCodes(self.classes[rows], self.quantized[rows], self.floats[rows])


def _position(option: str, classes: Sequence[str]) -> int:
    name = latency_class(option)
    if name not in classes:
        raise EvaluationError(
            f"the latency model has never measured an option of the class {name}; it knows "
            f"{', '.join(classes)}: "
            "measure candidates that use it and fit again"
        )
    return classes.index(name)


def _float_position(name: str, float_types: Sequence[str]) -> int:
    if name not in float_types:
        raise EvaluationError(
            f"the latency model has never measured the float type {name}; it knows {', '.join(float_types)}: "
            "measure candidates that use it and fit again"
        )
    return float_types.index(name)
