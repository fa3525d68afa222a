"""The file of a torch program: a traced graph and its tensors, quantized sites as integer codes.

One safetensors file whose metadata holds the graph as JSON (:mod:`automl.targets.torch_graph_json`),
the inputs, and the numbers of the quantization plan. Kernels and fusions are chosen when it is loaded, so one
file serves every float type and device, and nothing in it is unpickled.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import fx

from automl.core.errors import EvaluationError
from automl.targets.idle_model import idle_input
from automl.targets.torch_graph_json import graph_from_json
from automl.targets.torch_graph_json import graph_to_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Mapping
    from pathlib import Path

    from automl.searchspaces.graph import ModelGraph
    from automl.searchspaces.graph import TracedModel
    from automl.transforms.plan import QuantizationPlan

__all__ = [
    "Codes",
    "Program",
    "ProgramInput",
    "idle_program",
    "read_program",
    "value_types",
    "write_program",
]

SCHEMA = 1

#: Key of the metadata.
_KEY = "automl_program"


@dataclass(frozen=True)
class ProgramInput:
    """One input: its name, numpy type, and shape with 0 for the free batch."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Codes:
    """The quantized weight of a site.

    Args:
        option: the site's precision option.
        codes: int8, the weight's shape.
        scale: float32, (n,) per channel or (n, groups).
        bias: (n,) that replaces the site's bias, or None.
        group: inputs that share a scale, 0 for one scale per channel.
    """

    option: str
    codes: torch.Tensor
    scale: torch.Tensor
    bias: torch.Tensor | None
    group: int

    def dequantized(self) -> torch.Tensor:
        """Return the float32 weight."""
        flat = self.codes.float().reshape(len(self.codes), -1)
        scale = self.scale.float().reshape(len(self.codes), -1)
        if self.group:
            scale = scale.repeat_interleave(self.group, dim=1)[:, : flat.shape[1]]
        return (flat * scale).reshape(self.codes.shape)


@dataclass(frozen=True, eq=False)
class Program:
    """What a file holds.

    Args:
        graph: calls of ATen operators; ``node.meta`` has ``dtype`` and ``rank`` of tensor values.
        tensors: by the target of ``get_attr`` nodes, except weights of quantized sites.
        sites: quantized weights by site; site ``x`` is read by ``get_attr`` of ``x.weight``.
        reads: (value, consumer node) -> (step, zero point of unsigned 8-bit codes).
        inputs: in order.
        rows: rows that a matrix site multiplies for one sample.
        maps: (channels, height, width) that a convolution reads of one sample.
    """

    graph: fx.Graph
    tensors: Mapping[str, torch.Tensor]
    sites: Mapping[str, Codes]
    reads: Mapping[tuple[str, str], tuple[float, int]]
    inputs: tuple[ProgramInput, ...]
    rows: Mapping[str, int]
    maps: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def batch(self) -> int | None:
        """Samples per run, None when any number."""
        return self.inputs[0].shape[0] or None


class _TypeRecorder(fx.Interpreter):
    """Run the graph once and keep the type and rank of every tensor value."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.types: dict[str, tuple[str, int]] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Run one node and note the type of its value."""
        result = super().run_node(n)
        if isinstance(result, torch.Tensor):
            self.types[n.name] = str(result.dtype).removeprefix("torch."), result.dim()
        return result


def value_types(traced: TracedModel) -> dict[str, tuple[str, int]]:
    """Return torch type and rank of every tensor value of the traced graph by node name."""
    recorder = _TypeRecorder(traced.module)
    with torch.no_grad():
        recorder.run(*traced.example_inputs)
    return recorder.types


def _attribute(module: torch.nn.Module, target: str) -> torch.Tensor:
    value: Any = module
    for part in target.split("."):
        value = getattr(value, part)
    if not isinstance(value, torch.Tensor):
        raise EvaluationError(
            f"the graph reads '{target}', a {type(value).__name__}; a torch program holds tensors alone: use "
            "another target"
        )
    return value.detach()


def write_program(traced: TracedModel, plan: QuantizationPlan, types: Mapping[str, tuple[str, int]]) -> bytes:
    """Return the file's content for a plan.

    Args:
        traced: the model; not changed.
        plan: quantized weights and reads.
        types: of :func:`value_types`.

    Raises:
        EvaluationError: the graph holds something that cannot be written.
    """
    tensors: dict[str, torch.Tensor] = {}
    for name in dict.fromkeys(str(n.target) for n in traced.module.graph.nodes if n.op == "get_attr"):
        if name.removesuffix(".weight") not in plan.weights or not name.endswith(".weight"):
            tensors[name] = _attribute(traced.module, name)
    tensors, aliases = _without_copies(tensors)
    sites = []
    for index, (site, weight) in enumerate(plan.weights.items()):
        tensors[f"codes.{index}"] = torch.from_numpy(weight.codes).clone()
        tensors[f"scale.{index}"] = torch.from_numpy(np.asarray(weight.scale, np.float32)).clone()
        if weight.bias is not None:
            tensors[f"bias.{index}"] = torch.from_numpy(np.asarray(weight.bias, np.float32)).clone()
        sites.append([site, plan.precisions.get(site, ""), weight.group])
    head = {
        "schema": SCHEMA,
        "inputs": _inputs(traced),
        "graph": graph_to_json(traced.module.graph),
        "types": dict(types),
        "aliases": aliases,
        "sites": sites,
        "reads": [[v, c, float(q.scale), int(q.zero_point)] for (v, c), q in plan.edges.items()],
        "rows": {s.name: s.rows for s in traced.graph.sites if s.op == "linear"},
        "maps": _maps(traced.graph),
    }
    content: bytes = safetensors.torch.save(tensors, metadata={_KEY: json.dumps(head)})
    return content


def _maps(graph: ModelGraph) -> dict[str, list[int]]:
    found = {}
    for site in graph.sites:
        if site.op == "conv":
            read = graph.node_by_name[site.node].inputs[0]
            found[site.name] = list(graph.node_by_name[read].shape[1:])
    return found


def _inputs(traced: TracedModel) -> list[list[Any]]:
    names = [n.name for n in traced.module.graph.nodes if n.op == "placeholder"]
    found = []
    for name, tensor in zip(names, traced.example_inputs, strict=True):
        shape = [0 if traced.dynamic_batch else int(tensor.shape[0]), *map(int, tensor.shape[1:])]
        found.append([name, str(tensor.dtype).removeprefix("torch."), shape])
    return found


def _without_copies(tensors: Mapping[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Return distinct contiguous tensors, and name -> name of the tensor that it is the same as."""
    kept: dict[str, torch.Tensor] = {}
    aliases: dict[str, str] = {}
    seen: dict[tuple[Any, ...], str] = {}
    for name, tensor in tensors.items():
        key = (tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride())
        if key in seen and tensor.numel():
            aliases[name] = seen[key]
            continue
        seen[key] = name
        kept[name] = tensor.contiguous().clone()
    return kept, aliases


def _codes(head: Mapping[str, Any], tensors: dict[str, torch.Tensor]) -> Iterator[tuple[str, Codes]]:
    for index, (site, option, group) in enumerate(head["sites"]):
        codes, scale = tensors.pop(f"codes.{index}"), tensors.pop(f"scale.{index}")
        yield site, Codes(option, codes, scale, tensors.pop(f"bias.{index}", None), group)


def read_program(path: Path) -> Program:
    """Return the program of a file.

    Raises:
        EvaluationError: the file is no such program, damaged, or of another version.
    """
    try:
        with safetensors.safe_open(path, "pt") as stored:
            head = json.loads((stored.metadata() or {}).get(_KEY, "null"))
            # Copied: what is mapped would end the process if somebody wrote the file anew.
            tensors = {name: stored.get_tensor(name).clone() for name in stored.keys()}  # noqa: SIM118
        if not isinstance(head, dict) or head["schema"] != SCHEMA:
            raise EvaluationError(f"{path} holds no torch program of schema {SCHEMA}; write it again")
        graph = graph_from_json(head["graph"])
        sites = dict(_codes(head, tensors))
        tensors |= {name: tensors[other] for name, other in head["aliases"].items()}
        for node in graph.nodes:
            if node.name in head["types"]:
                kind, node.meta["rank"] = head["types"][node.name]
                node.meta["dtype"] = getattr(torch, kind)
            if node.op == "get_attr":
                node.meta["shape"] = _shape(node.target, tensors, sites)
        return Program(
            graph,
            tensors,
            sites,
            {(v, c): (float(step), int(zero)) for v, c, step, zero in head["reads"]},
            tuple(ProgramInput(name, dtype, tuple(shape)) for name, dtype, shape in head["inputs"]),
            head["rows"],
            {site: tuple(shape) for site, shape in head.get("maps", {}).items()},
        )
    except (OSError, KeyError, TypeError, ValueError, AttributeError, safetensors.SafetensorError) as error:
        raise EvaluationError(f"{path} is no torch program ({error}); write it again") from error


def _shape(target: str, tensors: Mapping[str, torch.Tensor], sites: Mapping[str, Codes]) -> tuple[int, ...]:
    held = tensors.get(target)
    return tuple(sites[target.removesuffix(".weight")].codes.shape if held is None else held.shape)


def idle_program() -> bytes:
    """Return a tiny program with one matrix product, which makes torch load its libraries and start threads.

    Its input is that of :func:`automl.targets.idle_model.idle_input`.
    """
    graph = fx.Graph()
    x = graph.placeholder("x")
    matrix = graph.get_attr("matrix.weight")
    y = graph.call_function(torch.ops.aten.linear.default, (x, matrix, None))
    graph.output(y)
    shape = idle_input().shape
    head = {
        "schema": SCHEMA,
        "inputs": [["x", "float32", [0, *shape[1:]]]],
        "graph": graph_to_json(graph),
        "types": {n.name: ["float32", len(shape)] for n in (x, y)} | {matrix.name: ["float32", 2]},
        "aliases": {},
        "sites": [],
        "reads": [],
        "rows": {},
    }
    tensors = {"matrix.weight": torch.ones(shape[-1], shape[-1])}
    content: bytes = safetensors.torch.save(tensors, metadata={_KEY: json.dumps(head)})
    return content
