"""Which kernel serves a site under an option, and why another does not: read off the kernels themselves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from automl.core.served import ServedSite
from automl.kernels.dispatch import choose
from automl.kernels.dispatch import obstacle
from automl.kernels.spec import IMPLEMENTATIONS
from automl.kernels.table import spec
from automl.targets.legality import strike_reason
from automl.transforms.precision import parse_precision

if TYPE_CHECKING:
    from collections.abc import Callable

    from automl.searchspaces.graph import ModelGraph
    from automl.searchspaces.graph import Site
    from automl.transforms.plan import QuantizationPlan

__all__ = ["cpu_strike", "kernel_of", "served_sites", "triton_strike"]

#: Operators of torch that serve what is not quantized, by operation of the site.
_FLOAT = {"linear": "linear", "conv": "convolution", "embedding": "embedding"}

#: Options whose kernels a report names when they cannot serve a site.
_ALTERNATIVES = ("w8a8", "w4a8", "w8", "w4g64", "w4g128")

_NOT_TAKEN = "it could serve; the candidate takes another option"

_IDLE = {"reference": "it defines the result and is slow; it serves where nothing else does"}

#: Longest sum of int8 products that int32 holds; the kernels refuse more.
_LONGEST = 131_071

#: The same for convolutions on the CPU, whose inputs are unsigned.
_LONGEST_UNSIGNED = 65_793


def kernel_of(option: str, *, four_bit: bool, convolves: bool = False) -> str | None:
    """Return the kernel that serves a matrix layer under an option; None for a float layer.

    Args:
        option: the precision option.
        four_bit: whether 4-bit weights with 8-bit inputs keep 4 bits.
        convolves: whether it is a convolution that a kernel of convolutions serves.
    """
    precision = parse_precision(option)
    if precision.is_float:
        return None
    if precision.weight_only:
        return "w4a16_linear" if precision.group else "w8a16_linear"
    if convolves:
        return "w8a8_conv"
    return "w4a8_linear" if four_bit and precision.weight_bits == 4 else "w8a8_linear"


def _common_strike(site: Site, option: str) -> str | None:
    reason = strike_reason(site, option)
    if reason is not None or parse_precision(option).is_float:
        return reason
    inputs = math.prod(site.weight_shape[1:])
    if parse_precision(option).activation_bits is not None and inputs > _LONGEST:
        return f"{inputs} inputs: sums of more than {_LONGEST} int8 products overflow int32"
    return None


def cpu_strike(site: Site, option: str, batch: int) -> str | None:
    """Return why no kernel of the CPU should serve ``option`` at ``site``, or None.

    Weight-only products are offered for the few rows for which they are faster than bfloat16 ones.

    Args:
        site: the site.
        option: the option.
        batch: samples of one call.
    """
    precision, reason = parse_precision(option), _common_strike(site, option)
    if reason is not None or precision.is_float:
        return reason
    if precision.activation_bits is not None and precision.weight_bits < 8:
        return f"the CPU multiplies {precision.weight_bits}-bit codes as int8, at the bytes and speed of w8a8"
    if site.op == "conv":
        return _conv_obstacle(site, batch)
    return _packed_obstacle(site, option, batch) if precision.weight_only else None


def _conv_obstacle(site: Site, batch: int) -> str | None:
    """Return why the CPU's convolution of codes should not serve the site, or None."""
    from automl.targets.torch_conv_layers import SMALL

    if len(site.weight_shape) != 4:
        return "the CPU's convolution of codes takes two dimensions"
    products = math.prod(site.weight_shape[1:])
    if products > _LONGEST_UNSIGNED:
        return f"{products} products: sums of more than {_LONGEST_UNSIGNED} 8-bit products overflow int32"
    if site.groups == 1 and site.macs * batch <= SMALL:
        return (
            f"{site.macs * batch} multiply-accumulates: torch's own float convolution takes 3 to 20 "
            "microseconds for so few, a call of the int8 one 25 to 30"
        )
    return None


def triton_strike(site: Site, option: str) -> str | None:
    """Return why no Triton kernel serves ``option`` at ``site``, or None."""
    precision, reason = parse_precision(option), _common_strike(site, option)
    if reason is not None or precision.is_float:
        return reason
    if site.op == "conv" and (site.groups > 1 or len(site.weight_shape) != 4):
        return "convolutions become matrix products, which takes two dimensions and a single group"
    if precision.activation_bits is not None and precision.weight_bits not in (4, 8):
        return f"the kernels store {precision.weight_bits}-bit codes in 8 bits, at the speed of w8a8"
    return None


def _packed_obstacle(site: Site, option: str, batch: int) -> str | None:
    """Return why the packed weight-only product should not serve the site, or None."""
    import torch

    from automl.kernels.weight_only.cpu_impl import packed_obstacle
    from automl.kernels.weight_only.weight import Weight

    precision = parse_precision(option)
    n, k = site.weight_shape
    group = precision.group or k
    four = precision.weight_bits == 4
    codes = torch.empty(
        (n, -(-k // 2) if four else k), dtype=torch.uint8 if four else torch.int8, device="meta"
    )
    scale = torch.empty((n, -(-k // group)), device="meta")
    return packed_obstacle(
        Weight(precision.weight_bits, codes, scale, None, None, group, k), site.rows * batch
    )


def served_sites(
    graph: ModelGraph,
    plan: QuantizationPlan,
    strike: Callable[[Site, str], str | None],
    *,
    device: str,
    preference: str = "auto",
) -> tuple[ServedSite, ...]:
    """Return the kernel of every site of a candidate, in execution order.

    Args:
        graph: the traced graph.
        plan: the candidate's plan.
        strike: returns why no kernel serves an option at a site, or None.
        device: torch device type.
        preference: implementation that is asked for, see ``automl.kernels.dispatch``.
    """
    four_bit = preference == "triton"
    own = device == "cpu" and preference == "auto"
    found = []
    for site in graph.sites:
        option = plan.precisions.get(site.name, "fp") if site.name in plan.weights else "fp"

        def named(other: str, convolves: bool = own and site.op == "conv") -> str | None:
            return kernel_of(other, four_bit=four_bit, convolves=convolves)

        kernel = named(option)
        refused = [
            (f"{named(other)} for {other}", strike(site, other) or _NOT_TAKEN)
            for other in _ALTERNATIVES
            if other != option
        ]
        if kernel is None:
            reason = f"the site is not quantized; torch computes it in {plan.float_type}"
            found.append(ServedSite(site.name, option, _FLOAT[site.op], "torch", reason, tuple(refused)))
            continue
        described = spec(kernel)
        choice = choose(described, device, preference=preference)
        reason = choice.reason
        if choice.implementation == "cpu" and described.cpu:
            reason = f"{reason}: {described.cpu}"
        others = [
            (which, obstacle(described, which, device) or _IDLE.get(which, "another one was asked for"))
            for which in IMPLEMENTATIONS
            if which != choice.implementation
        ]
        found.append(
            ServedSite(site.name, option, kernel, choice.implementation, reason, (*others, *refused))
        )
    return tuple(found)
