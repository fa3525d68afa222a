"""Choose the layer that serves each matrix site of a program, and put it into the graph.

Codes of a value are made once for all layers that read it, and layers that read the same value become one
product; what a layer takes in and hands on is settled in :mod:`automl.targets.torch_found_sites`.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING
from typing import Any

import torch

from automl.kernels.w4a8_linear.scales_math import pack_signed
from automl.kernels.weight_only.formats_math import pack_nibbles
from automl.targets.torch_conv_layers import ConvLayer
from automl.targets.torch_conv_layers import FloatConv
from automl.targets.torch_found_sites import FoundSite
from automl.targets.torch_found_sites import Serving
from automl.targets.torch_found_sites import find_sites
from automl.targets.torch_found_sites import value_of
from automl.targets.torch_layers import FloatLinear
from automl.targets.torch_layers import SplitLayer
from automl.transforms.kernel_convs import MapCodes
from automl.transforms.kernel_convs import NumbersOfCodes
from automl.transforms.kernel_convs import W8A8Conv
from automl.transforms.kernel_modules import InputCodes
from automl.transforms.kernel_modules import W4A8Linear
from automl.transforms.kernel_modules import W4A16Linear
from automl.transforms.kernel_modules import W8A8Linear
from automl.transforms.kernel_modules import W8A16Linear

if TYPE_CHECKING:
    from torch import fx

    from automl.targets.torch_program import Program
    from automl.transforms.kernel_convs import MaxPoolCodes

    Read = tuple[float, int]

__all__ = ["Serving", "erase_unread", "place_layers"]

_GETITEM = operator.getitem

#: Codes of a plan and of convolutions are unsigned, those of the other kernels signed.
_MIDDLE = 128


def place_layers(program: Program, serving: Serving) -> dict[str, torch.nn.Module]:
    """Replace the matrix nodes of the program's graph by calls of layers, and return those by name.

    Raises:
        EvaluationError: the plan quantizes something that no layer serves.
    """
    found = find_sites(program, serving)
    placer = _Placer(program.graph, serving)
    order = {node: index for index, node in enumerate(program.graph.nodes)}
    # A layer comes where its last operation was, so that the other summand of an addition is there already.
    work: list[tuple[fx.Node, list[FoundSite]]] = [(group[0].out, group) for group in _groups(found.sites)]
    work += [(node, []) for node in (*found.pools, *found.additions)]
    for node, group in sorted(work, key=lambda w: order[w[0]]):
        if group:
            placer.place(group)
        elif node in found.pools:
            placer.pool(node, *found.pools[node])
        else:
            placer.number(node, *found.additions[node])
    erase_unread(program.graph)
    placer.settle_residuals()
    return placer.parts


def erase_unread(graph: fx.Graph) -> None:
    """Erase the nodes whose values nobody reads."""
    for node in reversed(list(graph.nodes)):
        if node.op not in ("placeholder", "output") and not node.users:
            graph.erase_node(node)


def _groups(sites: list[FoundSite]) -> list[list[FoundSite]]:
    """Return the sites in execution order, those together that one product can serve."""
    groups: list[list[FoundSite]] = []
    open_groups: dict[tuple[Any, ...], list[FoundSite]] = {}
    for site in sites:
        alone = (
            site.activation != "none"
            or site.hands_on is not None
            or site.geometry is not None
            or site.kind in ("w8", "w4")
        )
        option = "" if site.codes is None else site.codes.option
        key = (site.node.args[0], site.kind, option == "w4a8", site.read, site.bias is None)
        if alone or key not in open_groups:
            groups.append([site])
            if not alone:
                open_groups[key] = groups[-1]
        else:
            open_groups[key].append(site)
    return groups


class _Placer:
    """Builds layers and writes their calls into the graph."""

    def __init__(self, graph: fx.Graph, serving: Serving) -> None:
        self.parts: dict[str, torch.nn.Module] = {}
        self._graph = graph
        self._serving = serving
        self._codes: dict[tuple[fx.Node, float, int, bool], fx.Node] = {}
        self._sums: list[tuple[fx.Node, W8A8Conv]] = []

    def place(self, group: list[FoundSite]) -> None:
        """Serve a group of sites by one layer."""
        first = group[0]
        sources: list[Any] = [first.source]
        if first.read is not None:
            sources = [self._input_codes(first.source, first.read, unsigned=first.convolves)]
        if first.added is not None:
            sources.append(self._input_codes(first.residual, first.added, unsigned=True))
        layer = self._layer(group)
        if len(group) > 1:
            layer = SplitLayer(layer, tuple(_outputs(s) for s in group))
        call = self._call(layer, sources, first.node if first.addition is None else first.out)
        if isinstance(layer, W8A8Conv) and first.added is not None:
            self._sums.append((call, layer))
        passed = [s.addition.name for s in group if s.addition is not None]
        origins = [name for s in group for name in dict.fromkeys((s.node.name, *passed, s.out.name))]
        call.meta.update(
            origins=tuple(origins),
            kind=first.kind,
            dtype=first.out.meta.get("dtype"),
            precision="i8" if first.kind == "integer" else str(self._serving.float_type),
        )
        for index, site in enumerate(group):
            result = call
            if len(group) > 1:
                with self._graph.inserting_before(first.node):
                    result = self._graph.call_function(_GETITEM, (call, index))
                result.meta["origins"] = (site.out.name,)
            handed = torch.uint8 if site.convolves else torch.int8
            result.meta.update(
                dtype=handed if site.hands_on is not None else site.out.meta.get("dtype"),
                rank=site.out.meta.get("rank"),
                codes=site.hands_on,
            )
            site.out.replace_all_uses_with(result)

    def pool(self, node: fx.Node, layer: MaxPoolCodes, read: Read) -> None:
        """Pool codes in place of numbers; every reader takes the result as codes."""
        source: Any = node.args[0]
        call = self._call(layer, [self._input_codes(source, read, unsigned=True)], node)
        call.meta.update(
            origins=(node.name,), kind="codes", precision="i8", dtype=torch.uint8, rank=4, codes=read
        )
        node.replace_all_uses_with(call)

    def number(self, node: fx.Node, place: int, read: Read) -> None:
        """Make an addition in numbers read what the codes of one of its summands stand for."""
        source: Any = node.args[place]
        codes = self._input_codes(source, read, unsigned=True)
        call = self._call(NumbersOfCodes(*read, self._serving.float_type), [codes], node)
        call.meta.update(
            origins=(value_of(source),), kind="numbers", dtype=torch.float32, rank=source.meta.get("rank")
        )
        node.update_arg(place, call)

    def settle_residuals(self) -> None:
        """Let a sum take the memory of the other summand where nothing else reads that later."""
        order = {node: index for index, node in enumerate(self._graph.nodes)}
        for call, layer in self._sums:
            source, residual = call.args
            fresh = isinstance(residual, torch.fx.Node) and residual.op == "call_module"
            layer.owns_residual = bool(
                fresh and source is not residual and all(order[u] <= order[call] for u in residual.users)  # type: ignore[union-attr]
            )

    def _input_codes(self, source: fx.Node, read: Read, *, unsigned: bool) -> fx.Node:
        """Return the node of the value's codes, made once."""
        if source.meta.get("codes") == read:
            return source
        key = (source, *read, unsigned)
        if key not in self._codes:
            step, zero = read
            part: torch.nn.Module = MapCodes(step, zero)
            if not unsigned:
                part = InputCodes(step, zero - _MIDDLE, preference=self._serving.preference)
            reader = next(n for n in self._graph.nodes if n in source.users)
            call = self._call(part, [source], reader)
            call.meta.update(
                origins=(value_of(source),),
                kind="codes",
                precision="i8",
                dtype=torch.uint8 if unsigned else torch.int8,
                codes=read,
            )
            self._codes[key] = call
        return self._codes[key]

    def _call(self, part: torch.nn.Module, sources: list[fx.Node], before: fx.Node) -> fx.Node:
        name = f"part_{len(self.parts)}"
        self.parts[name] = part.to(self._serving.device)
        with self._graph.inserting_before(before):
            return self._graph.create_node("call_module", name, tuple(sources))

    def _layer(self, group: list[FoundSite]) -> torch.nn.Module:
        first, serving = group[0], self._serving
        bias = None if first.bias is None else torch.cat([s.bias for s in group if s.bias is not None])
        bias = None if bias is None else bias.to(serving.device)
        if first.codes is None:
            weight = torch.cat([s.weight for s in group if s.weight is not None]).to(serving.device)
            if first.geometry is not None:
                return FloatConv(
                    weight,
                    bias,
                    first.geometry,
                    dtype=serving.float_type,
                    activation=first.activation,
                    shape=first.shape,
                )
            return FloatLinear(
                weight, bias, dtype=serving.float_type, activation=first.activation, rows=first.rows
            )
        codes = torch.cat([s.codes.codes for s in group if s.codes is not None]).to(serving.device)
        scale = torch.cat([s.codes.scale for s in group if s.codes is not None]).to(serving.device)
        if first.read is not None and first.geometry is not None:
            return self._conv_layer(first, codes, scale, bias)
        if first.read is not None:
            return self._integer_layer(first, codes, scale, bias)
        if first.codes.group:
            return W4A16Linear(
                pack_nibbles(codes + 8),
                scale,
                bias,
                group=first.codes.group,
                inner=codes.shape[1],
                rows=first.rows,
                preference=serving.preference,
            )
        return W8A16Linear(codes, scale, bias, rows=first.rows, preference=serving.preference)

    def _conv_layer(
        self, site: FoundSite, codes: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.nn.Module:
        geometry, read = site.geometry, site.read
        if geometry is None or read is None or not site.convolves:
            linear = self._integer_layer(site, codes.flatten(1), scale, bias)
            return (
                linear if geometry is None or read is None else ConvLayer(linear, geometry, read[1] - _MIDDLE)
            )
        return W8A8Conv(
            codes,
            scale,
            bias,
            x_codes=read,
            stride=geometry.stride,
            padding=geometry.sides,
            dilation=geometry.dilation,
            groups=geometry.groups,
            activation=site.activation,
            out_dtype=self._serving.float_type,
            out_codes=site.hands_on,
            residual_codes=site.added,
            shape=site.shape,
        )

    def _integer_layer(
        self, site: FoundSite, codes: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.nn.Module:
        step, unsigned = site.read or (1.0, _MIDDLE)
        zero, serving = unsigned - _MIDDLE, self._serving
        handed = site.hands_on
        option = "" if site.codes is None else site.codes.option
        if serving.four_bit and option == "w4a8" and handed is None:
            moved = codes.sum(dim=1, dtype=torch.int64).double() * scale.double() * (zero * step)
            shifted = (-moved if bias is None else bias.double() - moved).float()
            return W4A8Linear(
                pack_signed(codes),
                scale,
                shifted,
                x_scale=step,
                activation=site.activation,
                out_dtype=serving.float_type,
                preference=serving.preference,
            )
        return W8A8Linear(
            codes,
            scale,
            bias,
            x_scale=step,
            x_zero=zero,
            activation=site.activation,
            out_dtype=serving.float_type,
            out_codes=None if handed is None else (handed[0], handed[1] - _MIDDLE),
            rows=site.rows,
            preference=serving.preference,
        )


def _outputs(site: FoundSite) -> int:
    held = site.weight if site.codes is None else site.codes.codes
    return int(held.shape[0]) if held is not None else 0
