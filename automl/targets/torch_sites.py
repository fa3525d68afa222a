"""Choose the layer that serves each matrix site of a program, and put it into the graph.

Codes of a value are made once for all layers that read it, the activation that alone reads a layer is fused
into it, a layer whose only readers take its result as codes hands on codes, and layers that read the same
value become one product.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING
from typing import Any

import torch

from automl.core.errors import EvaluationError
from automl.kernels.w4a8_linear.scales_math import pack_signed
from automl.kernels.weight_only.formats_math import pack_nibbles
from automl.targets.torch_layers import ConvGeometry
from automl.targets.torch_layers import ConvLayer
from automl.targets.torch_layers import FloatLinear
from automl.targets.torch_layers import SplitLayer
from automl.transforms.kernel_modules import InputCodes
from automl.transforms.kernel_modules import W4A8Linear
from automl.transforms.kernel_modules import W4A16Linear
from automl.transforms.kernel_modules import W8A8Linear
from automl.transforms.kernel_modules import W8A16Linear

if TYPE_CHECKING:
    from torch import fx

    from automl.targets.torch_program import Codes
    from automl.targets.torch_program import Program

__all__ = ["Serving", "place_layers"]

aten: Any = torch.ops.aten
_GETITEM = operator.getitem

_ACTIVATIONS = {aten.relu.default: "relu", aten.gelu.default: "gelu", aten.silu.default: "silu"}

#: Codes of a plan are unsigned, those of the kernels signed.
_MIDDLE = 128


@dataclass(frozen=True)
class Serving:
    """How a program is served.

    Args:
        float_type: type of everything that is not quantized.
        batch: samples of most calls.
        device: torch device.
        preference: implementation of the kernels, see ``automl.kernels.dispatch``.
        four_bit: whether 4-bit weights with 8-bit inputs keep 4 bits, on a kernel of their own.
    """

    float_type: torch.dtype = torch.float32
    batch: int = 1
    device: str = "cpu"
    preference: str = "auto"
    four_bit: bool = False


@dataclass(eq=False)
class _Site:
    """One application of a matrix site."""

    node: fx.Node
    name: str
    codes: Codes | None
    read: tuple[float, int] | None
    weight: torch.Tensor | None
    bias: torch.Tensor | None
    rows: int
    geometry: ConvGeometry | None = None
    activation: str = "none"
    out: fx.Node = field(init=False)
    hands_on: tuple[float, int] | None = None

    def __post_init__(self) -> None:
        self.out = self.node

    @property
    def kind(self) -> str:
        """``float``, ``integer``, ``w8`` or ``w4``."""
        if self.codes is None:
            return "float"
        if self.read is not None:
            return "integer"
        return "w4" if self.codes.group else "w8"


def place_layers(program: Program, serving: Serving) -> dict[str, torch.nn.Module]:
    """Replace the linear nodes of the program's graph by calls of layers, and return those by name.

    Raises:
        EvaluationError: the plan quantizes something that no layer serves.
    """
    sites = _found(program, serving)
    _refuse_other_reads(program, sites)
    by_node = {s.node: s for s in sites}
    for site in sites:
        _fuse_activation(site, serving)
    for site in sites:
        _hand_on(site, by_node, program)
    placer = _Placer(program.graph, serving)
    for group in _groups(sites):
        placer.place(group)
    return placer.parts


def _refuse_other_reads(program: Program, sites: list[_Site]) -> None:
    served = {(_value(s.node.args[0]), s.node.name) for s in sites if s.kind == "integer"}
    for value, consumer in sorted(set(program.reads) - served):
        raise EvaluationError(
            f"the plan quantizes '{value}' for '{consumer}', which no kernel of this target reads as codes; "
            "quantize inputs of matrix layers alone"
        )


def _value(node: Any) -> str:
    return str(node.target) if node.op == "get_attr" else str(node.name)


def _found(program: Program, serving: Serving) -> list[_Site]:
    found = []
    for node in program.graph.nodes:
        geometry = _geometry(node)
        if node.target is not aten.linear.default and geometry is None:
            continue
        weight: Any = node.args[1]
        if weight.op != "get_attr":
            continue
        name = str(weight.target).removesuffix(".weight")
        bias: Any = node.args[2] if len(node.args) > 2 else None
        if bias is not None and bias.op != "get_attr":
            continue
        codes = program.sites.get(name)
        if codes is None and geometry is not None:
            continue  # A float convolution is torch's own.
        own = None if bias is None else program.tensors[str(bias.target)]
        if codes is not None and codes.bias is not None:
            own = codes.bias
        found.append(
            _Site(
                node,
                name,
                codes,
                program.reads.get((_value(node.args[0]), node.name)),
                None if codes is not None else program.tensors[str(weight.target)],
                own,
                program.rows.get(name, 1) * serving.batch,
                geometry,
            )
        )
    return found


def _geometry(node: fx.Node) -> ConvGeometry | None:
    """Return the geometry of a two-dimensional convolution of a single group, None of anything else."""
    if node.target not in (aten.conv2d.default, aten.convolution.default):
        return None
    weight: Any = node.args[1]
    defaults: dict[int, Any] = {3: [1, 1], 4: [0, 0], 5: [1, 1]}
    stride, padding, dilation = (
        _pair(node.args[i] if len(node.args) > i else v) for i, v in defaults.items()
    )
    last = 6 if node.target is aten.conv2d.default else 8
    groups = node.args[last] if len(node.args) > last else 1
    turned = node.target is aten.convolution.default and bool(node.args[6])
    shape = weight.meta.get("shape")
    if groups != 1 or turned or node.kwargs or shape is None or len(shape) != 4:
        return None
    return ConvGeometry(_pair(shape[2:]), stride, padding, dilation)


def _pair(value: Any) -> tuple[int, int]:
    numbers = [value, value] if isinstance(value, int) else list(value)
    return int(numbers[0]), int(numbers[-1])


def _fuse_activation(site: _Site, serving: Serving) -> None:
    """Take the activation that alone reads the layer into it, where the layer's product has one."""
    users = list(site.node.users)
    fuses = site.kind == "integer" or (site.kind == "float" and serving.float_type is torch.bfloat16)
    if len(users) == 1 and fuses and users[0].target in _ACTIVATIONS and not users[0].kwargs:
        site.activation, site.out = _ACTIVATIONS[users[0].target], users[0]


def _hand_on(site: _Site, by_node: dict[fx.Node, _Site], program: Program) -> None:
    """Let the layer give codes when every reader of its result takes it as codes."""
    readers = [by_node.get(u) for u in site.out.users]
    if site.kind != "integer" or not readers:
        return
    reads = [None if r is None else program.reads.get((site.out.name, r.node.name)) for r in readers]
    if None not in reads and len(set(reads)) == 1:
        site.hands_on = reads[0]


def _groups(sites: list[_Site]) -> list[list[_Site]]:
    """Return the sites in execution order, those together that one product can serve."""
    groups: list[list[_Site]] = []
    open_groups: dict[tuple[Any, ...], list[_Site]] = {}
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
        self._codes: dict[tuple[fx.Node, float, int], fx.Node] = {}

    def place(self, group: list[_Site]) -> None:
        """Serve a group of sites by one layer."""
        first = group[0]
        source: Any = first.node.args[0]
        if first.read is not None and source.meta.get("codes") != first.read:
            source = self._input_codes(source, first.read)
        layer = self._layer(group)
        if first.geometry is not None and first.read is not None:
            layer = ConvLayer(layer, first.geometry, first.read[1] - _MIDDLE)
        if len(group) > 1:
            layer = SplitLayer(layer, tuple(_outputs(s) for s in group))
        call = self._call(layer, source, first.node)
        origins = [name for s in group for name in dict.fromkeys((s.node.name, s.out.name))]
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
            result.meta.update(
                dtype=torch.int8 if site.hands_on is not None else site.out.meta.get("dtype"),
                rank=site.out.meta.get("rank"),
                codes=site.hands_on,
            )
            site.out.replace_all_uses_with(result)

    def _input_codes(self, source: fx.Node, read: tuple[float, int]) -> fx.Node:
        """Return the node of the value's codes, made once."""
        if (source, *read) not in self._codes:
            step, zero = read
            part = InputCodes(step, zero - _MIDDLE, preference=self._serving.preference)
            reader = next(n for n in self._graph.nodes if n in source.users)
            call = self._call(part, source, reader)
            call.meta.update(
                origins=(_value(source),), kind="codes", precision="i8", dtype=torch.int8, codes=read
            )
            self._codes[(source, *read)] = call
        return self._codes[(source, *read)]

    def _call(self, part: torch.nn.Module, source: fx.Node, before: fx.Node) -> fx.Node:
        name = f"part_{len(self.parts)}"
        self.parts[name] = part.to(self._serving.device)
        with self._graph.inserting_before(before):
            return self._graph.create_node("call_module", name, (source,))

    def _layer(self, group: list[_Site]) -> torch.nn.Module:
        first, serving = group[0], self._serving
        bias = None if first.bias is None else torch.cat([s.bias for s in group if s.bias is not None])
        bias = None if bias is None else bias.to(serving.device)
        if first.codes is None:
            weight = torch.cat([s.weight for s in group if s.weight is not None]).to(serving.device)
            return FloatLinear(
                weight, bias, dtype=serving.float_type, activation=first.activation, rows=first.rows
            )
        codes = torch.cat([s.codes.codes for s in group if s.codes is not None]).to(serving.device)
        scale = torch.cat([s.codes.scale for s in group if s.codes is not None]).to(serving.device)
        if first.read is not None:
            return self._integer_layer(first, codes.flatten(1), scale, bias)
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

    def _integer_layer(
        self, site: _Site, codes: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor | None
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


def _outputs(site: _Site) -> int:
    held = site.weight if site.codes is None else site.codes.codes
    return int(held.shape[0]) if held is not None else 0
