"""Which precision options a CPU runtime really runs at which site, and which sites share their choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automl.targets.base import Legality
from automl.transforms.precision import PRECISIONS
from automl.transforms.precision import parse_precision

if TYPE_CHECKING:
    from collections.abc import Callable

    from automl.searchspaces.graph import ModelGraph
    from automl.searchspaces.graph import Site

__all__ = ["cpu_legality", "shared_input_groups", "strike_reason"]


def strike_reason(site: Site, option: str) -> str | None:
    """Return why ``option`` cannot run at ``site``, or None when it can."""
    precision = parse_precision(option)
    if precision.is_float:
        return None
    if site.op not in ("conv", "linear"):
        return f"{site.op} layers stay in float"
    if precision.weight_only and site.op != "linear":
        return "weight-only kernels exist for matrix layers, not for convolutions"
    if precision.group and site.weight_shape[1] % precision.group:
        return f"{site.weight_shape[1]} input features are not a multiple of the group {precision.group}"
    return None


def shared_input_groups(graph: ModelGraph) -> tuple[tuple[str, ...], ...]:
    """Return groups of matrix layers that read the same value (query, key and value; gate and up)."""
    readers: dict[str, list[str]] = {}
    for node in graph.nodes:
        if (
            node.site is None
            or not node.inputs
            or graph.site(node.site).op != "linear"
            or node.op != "linear"
        ):
            continue
        group = readers.setdefault(node.inputs[0], [])
        if node.site not in group:
            group.append(node.site)
    order = {s.name: i for i, s in enumerate(graph.sites)}
    merged: list[set[str]] = []
    for group in readers.values():
        touching = [m for m in merged if m & set(group)]
        merged = [m for m in merged if m not in touching]
        merged.append(set(group).union(*touching))
    groups = [tuple(sorted(m, key=order.__getitem__)) for m in merged if len(m) > 1]
    return tuple(sorted(groups, key=lambda g: order[g[0]]))


def cpu_legality(
    graph: ModelGraph,
    float_types: tuple[str, ...],
    strike: Callable[[Site, str], str | None] = strike_reason,
) -> Legality:
    """Return what a CPU runtime with static int8 and weight-only matrix kernels runs.

    Activations of 8 bits for convolutions and matrix layers; weights of fewer bits with them run on the int8
    kernels, so they buy bytes and no speed. Weight-only options for matrix layers whose input divides by the
    group. A site in a tied group keeps only what every member can run.

    Args:
        graph: the traced model.
        float_types: legal float types, best first.
        strike: returns why an option cannot run at a site, or None.
    """
    ties = shared_input_groups(graph)
    options: dict[str, tuple[str, ...]] = {}
    struck: list[tuple[str, str, str]] = []
    for site in graph.sites:
        reasons = {option: strike(site, option) for option in PRECISIONS}
        options[site.name] = tuple(o for o, reason in reasons.items() if reason is None)
        struck.extend((site.name, o, reason) for o, reason in reasons.items() if reason is not None)
    for group in ties:
        common = set.intersection(*(set(options[s]) for s in group))
        for name in group:
            struck.extend(
                (name, o, f"tied to {', '.join(s for s in group if s != name)}, which cannot run it")
                for o in options[name]
                if o not in common
            )
            options[name] = tuple(o for o in options[name] if o in common)
    return Legality(options, ties, tuple(struck), float_types)
