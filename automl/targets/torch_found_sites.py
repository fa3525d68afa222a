"""Find the matrix sites of a program, and settle what each takes in and whether it hands on codes.

A layer takes in the activation that alone reads it; a convolution on a CPU also the zeros before it, and the
addition of codes behind it. A layer whose only readers take its result as codes of one grid hands on codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING
from typing import Any

import torch

from automl.core.errors import EvaluationError
from automl.targets.torch_conv_layers import small_conv
from automl.targets.torch_conv_sites import conv_activation
from automl.targets.torch_conv_sites import geometry_of
from automl.targets.torch_conv_sites import pool_layer
from automl.targets.torch_conv_sites import without_padding

if TYPE_CHECKING:
    from torch import fx

    from automl.targets.torch_conv_layers import ConvGeometry
    from automl.targets.torch_program import Codes
    from automl.targets.torch_program import Program
    from automl.transforms.kernel_convs import MaxPoolCodes

    Read = tuple[float, int]

__all__ = ["Found", "FoundSite", "Serving", "find_sites", "value_of"]

aten: Any = torch.ops.aten

_ACTIVATIONS = {aten.relu.default: "relu", aten.gelu.default: "gelu", aten.silu.default: "silu"}

#: Activations behind an addition that a convolution takes in.
_AFTER_ADDITION = ("relu",)


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

    @property
    def convolves(self) -> bool:
        """Whether convolutions have kernels of their own here; elsewhere they are products over windows."""
        return self.device == "cpu" and self.preference in ("auto", "cpu")


@dataclass(eq=False)
class FoundSite:
    """One application of a matrix site.

    Args:
        node: that computes it.
        name: of the site.
        codes: its quantized weight, None in float.
        read: (step, zero point) of the codes that it reads, None when it reads numbers.
        weight: in float, None when quantized.
        bias: or None.
        rows: of most calls.
        geometry: of a convolution.
        convolves: whether a kernel of convolutions serves it.
        shape: of most inputs of a convolution, None when unknown.
        pad: the padding that it takes in.
        addition: that it takes in.
        added: (step, zero point) of the codes of the other summand.
        activation: that it takes in.
        out: the last node that it computes.
        hands_on: (step, zero point) of a result of codes.
    """

    node: fx.Node
    name: str
    codes: Codes | None
    read: Read | None
    weight: torch.Tensor | None
    bias: torch.Tensor | None
    rows: int
    geometry: ConvGeometry | None = None
    convolves: bool = False
    shape: tuple[int, ...] | None = None
    pad: fx.Node | None = None
    addition: fx.Node | None = None
    added: Read | None = None
    activation: str = "none"
    out: fx.Node = field(init=False)
    hands_on: Read | None = None

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

    @property
    def source(self) -> Any:
        """The node of what it reads, as the graph is now."""
        return self.node.args[0] if self.pad is None else self.pad.args[0]

    @property
    def residual(self) -> Any:
        """The node of the other summand, as the graph is now; None without an addition."""
        if self.addition is None:
            return None
        return next(a for a in self.addition.args if a is not self.node)


@dataclass(frozen=True, eq=False)
class Found:
    """What a program has to be served.

    Args:
        sites: in execution order.
        pools: node -> (layer, codes that it reads and gives).
        additions: node -> (place of a summand, codes), of additions that no convolution takes in.
    """

    sites: list[FoundSite]
    pools: dict[fx.Node, tuple[MaxPoolCodes, Read]]
    additions: dict[fx.Node, tuple[int, Read]]


def value_of(node: Any) -> str:
    """Return the name of a node's value, as plans and files give it."""
    return str(node.target) if node.op == "get_attr" else str(node.name)


def find_sites(program: Program, serving: Serving) -> Found:
    """Return the sites of a program, and what stands between them that reads codes.

    Raises:
        EvaluationError: the plan quantizes something that nothing reads as codes.
    """
    pools = _pools(program) if serving.convolves else {}
    sites = [s for n in program.graph.nodes if (s := _site(n, program, serving, pools)) is not None]
    additions = _additions(program, pools) if serving.convolves else {}
    _refuse_other_reads(program, sites, pools, additions)
    by_node = {s.node: s for s in sites}
    for node, (place, read) in additions.items():
        _take_addition(node, by_node.get(node.args[1 - place]), read)  # type: ignore[arg-type]
    for site in sites:
        _take_activation(site, serving)
    readers = _Readers(program, sites, pools)
    for site in sites:
        site.hands_on = readers.asked(site)
        if site.addition is not None and site.hands_on is None:
            site.addition, site.added, site.activation, site.out = None, None, "none", site.node
    taken = {s.addition for s in sites}
    return Found(sites, pools, {n: a for n, a in additions.items() if n not in taken})


def _pools(program: Program) -> dict[fx.Node, tuple[MaxPoolCodes, Read]]:
    found = {}
    for node in program.graph.nodes:
        read = program.reads.get((value_of(node.args[0]), node.name)) if _reads_one(node) else None
        layer = None if read is None else pool_layer(node)
        if layer is not None and read is not None:
            found[node] = layer, read
    return found


def _reads_one(node: fx.Node) -> bool:
    return bool(node.op == "call_function" and node.args and hasattr(node.args[0], "op"))


def _additions(
    program: Program, pools: dict[fx.Node, tuple[MaxPoolCodes, Read]]
) -> dict[fx.Node, tuple[int, Read]]:
    found = {}
    for node in program.graph.nodes:
        if node.target is not aten.add.Tensor or node.kwargs:
            continue
        for place, summand in enumerate(node.args):
            if not hasattr(summand, "op"):
                continue
            read = _read(summand, node, program, pools)
            if read is not None:
                found[node] = place, read
    return found


def _read(
    value: fx.Node, reader: fx.Node, program: Program, pools: dict[fx.Node, tuple[MaxPoolCodes, Read]]
) -> Read | None:
    """Return the codes that a node reads of a value, None when it reads numbers.

    What a pool of codes gives is read as codes by all; the plan names the pool's own input alone.
    """
    return pools[value][1] if value in pools else program.reads.get((value_of(value), reader.name))


def _refuse_other_reads(program: Program, sites: list[FoundSite], pools: Any, additions: Any) -> None:
    served = {(value_of(s.node.args[0]), s.node.name) for s in sites if s.kind == "integer"}
    served |= {(value_of(n.args[0]), n.name) for n in pools}
    served |= {(value_of(n.args[place]), n.name) for n, (place, _) in additions.items()}
    for value, consumer in sorted(set(program.reads) - served):
        raise EvaluationError(
            f"the plan quantizes '{value}' for '{consumer}', which no kernel of this target reads as codes; "
            "quantize inputs of matrix layers alone"
        )


def _site(
    node: fx.Node, program: Program, serving: Serving, pools: dict[fx.Node, tuple[MaxPoolCodes, Read]]
) -> FoundSite | None:
    """Return the site that ``node`` applies, or None."""
    geometry = geometry_of(node)
    if geometry is not None and geometry.groups > 1 and not serving.convolves:
        geometry = None
    if node.target is not aten.linear.default and geometry is None:
        return None
    source: Any = node.args[0]
    weight: Any = node.args[1]
    bias: Any = node.args[2] if len(node.args) > 2 else None
    if weight.op != "get_attr" or (bias is not None and bias.op != "get_attr"):
        return None
    name = str(weight.target).removesuffix(".weight")
    codes = program.sites.get(name)
    if codes is None and geometry is not None and (not serving.convolves or any(geometry.extra)):
        return None  # The float convolution is torch's own.
    own = None if bias is None else program.tensors[str(bias.target)]
    if codes is not None and codes.bias is not None:
        own = codes.bias
    read = _read(source, node, program, pools)
    pad = None
    if geometry is not None and read is not None and codes is not None:
        pad, geometry = without_padding(node, geometry)
    wide = program.maps.get(name)
    shape = None
    if geometry is not None and wide is not None and len(wide) == 3:
        left, right, top, bottom = geometry.extra
        shape = (serving.batch, wide[0], wide[1] - top - bottom, wide[2] - left - right)
    return FoundSite(
        node,
        name,
        codes,
        read,
        None if codes is not None else program.tensors[str(weight.target)],
        own,
        program.rows.get(name, 1) * serving.batch,
        geometry,
        geometry is not None and serving.convolves,
        shape,
        pad,
    )


def _take_addition(node: fx.Node, site: FoundSite | None, read: Read) -> None:
    """Take an addition of codes into the convolution whose result it alone reads."""
    if site is not None and site.kind == "integer" and site.convolves and len(site.node.users) == 1:
        site.addition, site.added, site.out = node, read, node


def _take_activation(site: FoundSite, serving: Serving) -> None:
    """Take the activation that alone reads the layer into it, where the layer's product has one."""
    users = list(site.out.users)
    if len(users) != 1:
        return
    if site.convolves:
        name = conv_activation(users[0])
        if site.addition is not None and name not in _AFTER_ADDITION:
            name = None
        if name is not None and site.weight is not None and site.geometry is not None:
            name = None if small_conv(site.weight, site.geometry, serving.float_type, site.shape) else name
    else:
        fuses = site.kind == "integer" or (site.kind == "float" and serving.float_type is torch.bfloat16)
        name = _ACTIVATIONS.get(users[0].target) if fuses and not users[0].kwargs else None
    if name is not None:
        site.activation, site.out = name, users[0]


class _Readers:
    """Who reads a value as codes, and of which grid and sign.

    Args:
        program: the plan's reads.
        sites: found.
        pools: of codes.
    """

    def __init__(
        self,
        program: Program,
        sites: list[FoundSite],
        pools: dict[fx.Node, tuple[MaxPoolCodes, Read]],
    ) -> None:
        self._program, self._pools = program, pools
        self._by_node = {s.node: s for s in sites}
        self._pads: dict[fx.Node, list[FoundSite]] = {}
        for site in sites:
            if site.pad is not None:
                self._pads.setdefault(site.pad, []).append(site)

    def asked(self, site: FoundSite) -> Read | None:
        """Return the codes that every reader of the site's result asks for, or None."""
        if site.kind != "integer":
            return None
        asked = {a for user in site.out.users for a in self._of(site.out, user)}
        if len(asked) != 1:
            return None
        (only,) = asked
        return only[0] if only is not None and only[1] == site.convolves else None

    def _of(self, value: fx.Node, user: fx.Node) -> list[tuple[Read, bool] | None]:
        """Return (codes, whether unsigned) that ``user`` asks for; None stands for numbers."""
        if user in self._pads and len(self._pads[user]) == len(user.users):
            return [None if s.read is None else (s.read, s.convolves) for s in self._pads[user]]
        if user in self._pools:
            return [(self._pools[user][1], True)]
        reader = self._by_node.get(user)
        if reader is not None and reader.node.args[0] is value:
            return [None if reader.read is None else (reader.read, reader.convolves)]
        read = self._program.reads.get((value_of(value), user.name))
        return [None if read is None else (read, True)]
