"""Bytes of a candidate's weights, counted and not measured.

Counted per site: packed weight codes, one scale per output channel or group, zero points none (weights are
symmetric). Biases, norms and tables stay float32. Activation quantizers (a few bytes each), the graph's
structure and the file format's overhead are not weights and are not counted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from automl.core.errors import SpaceError
from automl.core.errors import unknown_name
from automl.transforms.precision import parse_precision

if TYPE_CHECKING:
    from collections.abc import Mapping

    from automl.searchspaces.graph import ModelGraph
    from automl.searchspaces.graph import Site

__all__ = ["SiteSize", "site_size", "site_sizes", "size_bytes", "weight_bits"]

#: Bits of one per-channel scale (float32).
CHANNEL_SCALE_BITS = 32
#: Bits of one group scale (float16).
GROUP_SCALE_BITS = 16
#: Bits of every parameter that is not quantized; computing in bf16 does not change what is stored.
FLOAT_BITS = 32


@dataclass(frozen=True)
class SiteSize:
    """Storage of one site's weight.

    Args:
        site: the site's name.
        option: its precision option.
        code_bytes: packed codes, or float weights, whole bytes.
        scale_bytes: scales.
    """

    site: str
    option: str
    code_bytes: int
    scale_bytes: int

    @property
    def total_bytes(self) -> int:
        """Codes and scales."""
        return self.code_bytes + self.scale_bytes


def site_size(site: Site, option: str) -> SiteSize:
    """Return the storage of the weight of ``site`` under a precision option.

    Rows of groups are padded: an output channel with k weights has ceil(k / group) scales.

    Raises:
        SpaceError: the option is unknown.
    """
    precision = parse_precision(option)
    if precision.is_float:
        return SiteSize(site.name, option, _bytes(site.n_weights * FLOAT_BITS), 0)
    channels = site.weight_shape[0]
    codes = _bytes(site.n_weights * precision.weight_bits)
    if precision.group:
        groups = channels * math.ceil(site.n_weights / channels / precision.group)
        return SiteSize(site.name, option, codes, _bytes(groups * GROUP_SCALE_BITS))
    return SiteSize(site.name, option, codes, _bytes(channels * CHANNEL_SCALE_BITS))


def site_sizes(graph: ModelGraph, precisions: Mapping[str, str]) -> tuple[SiteSize, ...]:
    """Return the storage of every site in execution order; sites without an entry are ``fp``.

    Raises:
        SpaceError: ``precisions`` names an unknown site or option.
    """
    strange = sorted(set(precisions) - set(graph.site_by_name))
    if strange:
        raise SpaceError(unknown_name("site", strange[0], graph.site_by_name))
    return tuple(site_size(site, precisions.get(site.name, "fp")) for site in graph.sites)


def size_bytes(graph: ModelGraph, precisions: Mapping[str, str]) -> int:
    """Return the bytes of all parameters of the artifact: every site, biases, norms and tables.

    Raises:
        SpaceError: as :func:`site_sizes`.
    """
    sites = sum(size.total_bytes for size in site_sizes(graph, precisions))
    return sites + _bytes(graph.n_other_parameters * FLOAT_BITS)


def weight_bits(graph: ModelGraph, precisions: Mapping[str, str]) -> float:
    """Return the storage bits of one weight, averaged over every weight of every site, scales included.

    Raises:
        SpaceError: as :func:`site_sizes`, or the graph has no site.
    """
    n_weights = sum(site.n_weights for site in graph.sites)
    if n_weights == 0:
        raise SpaceError("the model has no layer with a weight, so bits per weight are undefined")
    return 8.0 * sum(size.total_bytes for size in site_sizes(graph, precisions)) / n_weights


def _bytes(bits: int) -> int:
    return (bits + 7) // 8
