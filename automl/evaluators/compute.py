"""Multiply-accumulates and bit operations of a candidate, counted from the graph.

Bit operations follow Baskin et al., "UNIQ", arXiv 1804.10969, and its later use as weight bits x activation
bits x MACs; the accumulator's share of that paper is left out, as its followers do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from automl.core.errors import SpaceError
from automl.core.errors import unknown_name
from automl.transforms.precision import FLOAT_OPTIONS
from automl.transforms.precision import parse_precision

if TYPE_CHECKING:
    from collections.abc import Mapping

    from automl.searchspaces.graph import ModelGraph
    from automl.searchspaces.graph import Site

__all__ = ["bops", "macs", "site_bops"]

_FLOAT_BITS = {"f32": 32, "bf16": 16}


def macs(graph: ModelGraph) -> int:
    """Return the multiply-accumulates of all sites for one sample; precision does not change them."""
    return graph.macs


def bops(graph: ModelGraph, precisions: Mapping[str, str], float_type: str = "f32") -> int:
    """Return weight bits x activation bits x MACs, summed over the sites, for one sample.

    A float layer counts 32 x 32, or 16 x 16 in bf16; a weight-only layer counts its weight bits times the
    float activation's bits. Sites without an entry are ``fp``.

    Raises:
        SpaceError: unknown site, option or float type.
    """
    if float_type not in _FLOAT_BITS:
        raise SpaceError(unknown_name("float type", float_type, FLOAT_OPTIONS))
    strange = sorted(set(precisions) - set(graph.site_by_name))
    if strange:
        raise SpaceError(unknown_name("site", strange[0], graph.site_by_name))
    return sum(site_bops(site, precisions.get(site.name, "fp"), float_type) for site in graph.sites)


def site_bops(site: Site, option: str, float_type: str = "f32") -> int:
    """Return weight bits x activation bits x MACs of one site for one sample."""
    real = _FLOAT_BITS[float_type]
    precision = parse_precision(option)
    weight = real if precision.is_float else precision.weight_bits
    return site.macs * weight * (precision.activation_bits or real)
