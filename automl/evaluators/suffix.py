"""Run a traced model with one layer changed, from the nearest stored block boundary instead of the input."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING
from typing import Any

import torch
from torch import fx

from automl.transforms.materialize import fake_quantize

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping
    from collections.abc import Sequence

    from automl.searchspaces.graph import TracedModel
    from automl.transforms.plan import ActivationQuantizer

__all__ = ["Change", "SuffixRunner"]

aten: Any = torch.ops.aten

_IN_PLACE = {aten.clamp.default: aten.clamp_.default, aten.relu.default: aten.relu_.default}


@dataclass(frozen=True, eq=False)
class Change:
    """What differs from the traced model in one run.

    Args:
        parameters: replaced parameters by fully qualified name.
        edges: quantized reads, (value name, consumer node name) -> quantizer.
    """

    parameters: Mapping[str, torch.Tensor] = field(default_factory=dict)
    edges: Mapping[tuple[str, str], ActivationQuantizer] = field(default_factory=dict)


class SuffixRunner:
    """Runs one batch of a traced model, then parts of it again under changes.

    Stored between runs are only the values that live across a block boundary, so memory is a few feature maps
    per block. Convolutions run through oneDNN in channels-last order, activations in place where nobody else
    reads the value: twice as fast as the graph as it stands, results differ in the last bits. A re-run from a
    boundary gives exactly what a run from the input gives under the same change.

    Args:
        traced: the model; not changed.
    """

    def __init__(self, traced: TracedModel) -> None:
        module = traced.module
        self._nodes: list[Any] = list(module.graph.nodes)
        self._position = {node: i for i, node in enumerate(self._nodes)}
        self._by_name = {n.name if n.op != "get_attr" else str(n.target): n for n in self._nodes}
        named = {**dict(module.named_parameters(remove_duplicate=False)), **dict(module.named_buffers())}
        self._constants: dict[Any, Any] = {}
        for node in self._nodes:
            if node.op == "get_attr":
                self._constants[node] = _layout(_constant(module, named, str(node.target)))
        self._last_use = {
            node: max((self._position[u] for u in node.users), default=-1) for node in self._nodes
        }
        self._boundaries = self._block_boundaries(traced)
        self._live = {b: self._live_before(b) for b in self._boundaries}
        stored = {node for live in self._live.values() for node in live}
        self._functions = {n: _function(n, stored) for n in self._nodes if n.op == "call_function"}
        self._stored: dict[int, dict[Any, Any]] = {}

    def _block_boundaries(self, traced: TracedModel) -> list[int]:
        """Return the positions before each block's first site, and before each site outside blocks."""
        places, previous = [], None
        for site in traced.graph.sites:
            if site.block != previous or not site.block:
                places.append(self._position[self._by_name[site.node]])
            previous = site.block
        return sorted(set(places))

    def _live_before(self, place: int) -> list[Any]:
        return [
            n
            for n in self._nodes[:place]
            if n not in self._constants and self._last_use[n] >= place and n.op != "output"
        ]

    def run(self, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        """Run the unchanged model on a batch and keep the values at block boundaries; return the outputs."""
        self._stored = {}
        feeds = [n for n in self._nodes if n.op == "placeholder"]
        env = dict(zip(feeds, (_layout(t) for t in inputs), strict=True))
        return self._execute(0, env, Change(), keep=True)

    def rerun(self, change: Change) -> tuple[torch.Tensor, ...]:
        """Return the outputs for the batch of the last :meth:`run` under ``change``."""
        places = [self._position[self._by_name[consumer]] for _, consumer in change.edges]
        for name in change.parameters:
            if name in self._by_name:
                places += [self._position[u] for u in self._by_name[name].users]
        if not places:
            raise ValueError("the change touches no node of the model")
        start = max(b for b in self._stored if b <= min(places))
        return self._execute(start, dict(self._stored[start]), change, keep=False)

    def _execute(
        self, start: int, env: dict[Any, Any], change: Change, *, keep: bool
    ) -> tuple[torch.Tensor, ...]:
        env = {**self._constants, **env}
        env.update({self._by_name[n]: _layout(t) for n, t in change.parameters.items() if n in self._by_name})
        readers: dict[Any, dict[Any, ActivationQuantizer]] = {}
        for (value, consumer), quantizer in change.edges.items():
            readers.setdefault(self._by_name[consumer], {})[self._by_name[value]] = quantizer
        if keep:
            self._stored[0] = {n: v for n, v in env.items() if n not in self._constants}
        result: tuple[torch.Tensor, ...] = ()
        for place in range(start, len(self._nodes)):
            node = self._nodes[place]
            if keep and place in self._live:
                self._stored[place] = {n: env[n] for n in self._live[place]}
            if node.op == "output":
                leaves = torch.utils._pytree.tree_leaves(fx.node.map_arg(node.args, env.__getitem__))
                result = tuple(leaf for leaf in leaves if isinstance(leaf, torch.Tensor))
            elif node.op == "call_function":
                read = self._reader(env, readers.get(node))
                args, kwargs = fx.node.map_arg(node.args, read), fx.node.map_arg(node.kwargs, read)
                env[node] = self._functions[node](*args, **kwargs)
            for source in node.all_input_nodes:
                if self._last_use[source] <= place and source not in self._constants:
                    env.pop(source, None)
        return result

    @staticmethod
    def _reader(
        env: dict[Any, Any], quantizers: Mapping[Any, ActivationQuantizer] | None
    ) -> Callable[[Any], Any]:
        if not quantizers:
            return env.__getitem__

        def read(node: Any) -> Any:
            q = quantizers.get(node)
            return env[node] if q is None else fake_quantize(env[node], q.scale, q.zero_point, q.bits)

        return read


def _constant(module: fx.GraphModule, named: Mapping[str, torch.Tensor], name: str) -> Any:
    if name in named:
        return named[name].detach()
    owner, _, leaf = name.rpartition(".")
    value = getattr(module.get_submodule(owner), leaf)
    return value.detach() if isinstance(value, torch.Tensor) else value


def _layout(value: Any) -> Any:
    """Return image-like tensors in channels-last order, everything else as it is."""
    if isinstance(value, torch.Tensor) and value.dim() == 4 and value.is_floating_point():
        return value.detach().contiguous(memory_format=torch.channels_last)
    return value.detach() if isinstance(value, torch.Tensor) else value


def _onednn_conv2d(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Sequence[int] = (1, 1),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    groups: int = 1,
) -> torch.Tensor:
    """Convolve through oneDNN, which torch leaves for 1 x 1 kernels when it has one thread."""
    result: torch.Tensor = torch.mkldnn_convolution(x, weight, bias, padding, stride, dilation, groups)
    return result


def _function(node: Any, stored: set[Any]) -> Callable[..., Any]:
    """Return what to call for a node: oneDNN's convolution, an in-place activation, or its own target."""
    if node.target is aten.conv2d.default and not node.kwargs and _is_cpu_float(node.meta.get("val")):
        return _onednn_conv2d
    source: Any = node.args[0] if node.args else None
    fresh = isinstance(source, fx.Node) and source.target is aten.conv2d.default and source not in stored
    if node.target in _IN_PLACE and fresh and len(source.users) == 1:
        in_place: Callable[..., Any] = _IN_PLACE[node.target]
        return in_place
    function: Callable[..., Any] = node.target
    return function


def _is_cpu_float(value: Any) -> bool:
    return (
        isinstance(value, torch.Tensor)
        and value.dtype == torch.float32
        and value.device.type == "cpu"
        and bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
    )
