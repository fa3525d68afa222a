"""The precision space: one dimension for the float type, one for each site or group of tied sites."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Protocol

from automl.core.errors import SpaceError
from automl.core.errors import unknown_name
from automl.searchspaces.dimension import Dimension
from automl.searchspaces.space import SearchSpace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from automl.core.candidate import Candidate
    from automl.searchspaces.graph import ModelGraph

__all__ = ["FLOAT_DIMENSION", "LegalOptions", "assignment_of", "precision_space"]

#: Name of the dimension that decides in which type everything not quantized is computed.
FLOAT_DIMENSION = "float:model"


class LegalOptions(Protocol):
    """What a target allows, as the builder reads it.

    Attributes:
        options: site name -> legal options, most faithful first, ``fp`` among them.
        ties: groups of sites that must share their option.
        float_types: float types, ``f32`` among them.
    """

    @property
    def options(self) -> Mapping[str, Sequence[str]]:
        """Legal options by site."""

    @property
    def ties(self) -> Sequence[Sequence[str]]:
        """Tied sites."""

    @property
    def float_types(self) -> Sequence[str]:
        """Legal float types."""


def precision_space(graph: ModelGraph, legality: LegalOptions) -> SearchSpace:
    """Return the precision space of a model on a target.

    Dimensions are ``float:model`` (only when there is a choice; ``f32``, the default, first) and one
    ``precision:<site>`` for each site or tie group with a choice, in execution order, named after its first
    site. Tied sites offer the options legal at all of them. Groups that overlap are one group.

    Raises:
        SpaceError: legality names a site the graph does not have, lacks ``fp`` or ``f32``, or leaves nothing
            to choose.
    """
    for name in (*legality.options, *(s for tie in legality.ties for s in tie)):
        if name not in graph.site_by_name:
            raise SpaceError(unknown_name("site", name, graph.site_by_name))
    dimensions = []
    if "f32" not in legality.float_types:
        raise SpaceError(f"float types must include f32; got {tuple(legality.float_types)}")
    if len(legality.float_types) > 1:
        types = ("f32", *(t for t in legality.float_types if t != "f32"))
        dimensions.append(Dimension("float", "model", types, "f32"))
    for group in _groups([s.name for s in graph.sites], legality.ties):
        options = _common(group, legality.options)
        if len(options) > 1:
            dimensions.append(Dimension("precision", group[0], options, "fp", sites=group))
    return SearchSpace(tuple(dimensions))


def _groups(sites: Sequence[str], ties: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Partition ``sites`` by the ties, groups and their members in the order of ``sites``."""
    group = {site: site for site in sites}
    for tie in ties:
        joined = {group[site] for site in tie}
        root = next((s for s in sites if s in joined), None)
        for site in sites:
            if group[site] in joined and root is not None:
                group[site] = root
    members: dict[str, list[str]] = {}
    for site in sites:
        members.setdefault(group[site], []).append(site)
    return [tuple(m) for m in members.values()]


def _common(group: tuple[str, ...], options: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the options legal at every member, in the first member's order."""
    for site in group:
        if "fp" not in options.get(site, ("fp",)):
            raise SpaceError(f"site '{site}': legal options must include fp; got {tuple(options[site])}")
    return tuple(
        o for o in options.get(group[0], ("fp",)) if all(o in options.get(s, ("fp",)) for s in group[1:])
    )


def assignment_of(candidate: Candidate, space: SearchSpace) -> tuple[dict[str, str], str]:
    """Return (option of every site that a dimension moves, float type) of a candidate.

    Tied sites are expanded; sites without a dimension are absent (they stay ``fp``).

    Raises:
        SpaceError: the candidate does not belong to ``space``.
    """
    space.validate(candidate)
    precisions: dict[str, str] = {}
    float_type = "f32"
    for dimension in space.dimensions:
        option = str(candidate[dimension.name])
        if dimension.name == FLOAT_DIMENSION:
            float_type = option
        elif dimension.kind == "precision":
            precisions.update(dict.fromkeys(dimension.sites, option))
    return precisions, float_type
