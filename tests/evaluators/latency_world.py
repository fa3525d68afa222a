"""A network whose latency is known exactly: layers, border conversions, and additions that fuse or do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automl.core.rng import child_rng
from automl.evaluators.latency_model import LatencyObservation
from automl.searchspaces.dimension import Dimension
from automl.searchspaces.graph import GraphNode
from automl.searchspaces.graph import ModelGraph
from automl.searchspaces.graph import Site
from automl.searchspaces.space import SearchSpace
from automl.targets.base import NodeProfile

if TYPE_CHECKING:
    import numpy as np

N_BLOCKS = 6
BORDER_MS = {"f32": 0.5, "bf16": 0.3}
ADD_MS = 0.8
LAYER_MS = {("fp", "f32"): 2.0, ("fp", "bf16"): 1.0, ("w8a8", "f32"): 0.6, ("w8a8", "bf16"): 0.6}


def make_graph() -> ModelGraph:
    """Return residual blocks of two convolutions: x -> a -> b -> add(x)."""
    shape = (1, 16, 8, 8)
    nodes = [GraphNode("x", "input", (), (1, 16, 8, 8)), GraphNode("stem_out", "conv", ("x",), shape, "stem")]
    sites = [Site("stem", "conv", "stem_out", (16, 16, 3, 3), 1, True, 147456, 64)]
    last = "stem_out"
    for i in range(N_BLOCKS):
        for part, source in (("a", last), ("b", f"c{i}a")):
            nodes.append(GraphNode(f"c{i}{part}", "conv", (source,), shape, f"block{i}.{part}"))
            sites.append(
                Site(
                    f"block{i}.{part}",
                    "conv",
                    f"c{i}{part}",
                    (16, 16, 3, 3),
                    1,
                    True,
                    147456,
                    64,
                    f"block{i}",
                )
            )
        nodes.append(GraphNode(f"add_{i}", "add", (f"c{i}b", last), shape))
        last = f"add_{i}"
    nodes.append(GraphNode("output", "output", (last,), shape))
    return ModelGraph(tuple(nodes), tuple(sites), (shape,))


def make_space(graph: ModelGraph, *, with_float: bool = True) -> SearchSpace:
    """Return float type and precision of every site; ``w4a8`` runs like ``w8a8``."""
    dims = [Dimension("float", "model", ("f32", "bf16"), "f32")] if with_float else []
    dims += [Dimension("precision", s.name, ("fp", "w8a8", "w4a8"), "fp") for s in graph.sites]
    return SearchSpace(tuple(dims))


def executed_nodes(
    graph: ModelGraph, precisions: dict[str, str], float_type: str, noise: np.random.Generator | None = None
) -> tuple[NodeProfile, ...]:
    """Return what the imagined runtime executes: layers, a reorder per border, additions that do not fuse."""
    quantized = {s: p != "fp" for s, p in precisions.items()}
    jitter = (lambda: 1.0) if noise is None else (lambda: float(noise.lognormal(0.0, 0.05)))
    nodes: list[NodeProfile] = []
    for index, site in enumerate(graph.sites):
        q = quantized.get(site.name, False)
        if index and quantized.get(graph.sites[index - 1].name, False) != q:
            before = graph.sites[index - 1].node
            name = f"{before}_f32_u8_{site.node}"
            nodes.append(NodeProfile(name, "Reorder", "u8", BORDER_MS[float_type] * jitter(), ()))
        kind = "w8a8" if q else "fp"
        scale = 1.0 + 0.1 * (index % 4)
        origins = (site.node,)
        nodes.append(
            NodeProfile(
                site.node, "Convolution", kind, scale * LAYER_MS[(kind, float_type)] * jitter(), origins
            )
        )
        if q and site.name.endswith(".b"):
            block = int(site.block.removeprefix("block"))
            feeders = ["stem", *(f"block{i}.b" for i in range(block + 1))][-2:]
            readers = [f"block{block + 1}.a"] if block + 1 < N_BLOCKS else []
            if not all(quantized.get(s, False) for s in (*feeders, *readers)):
                name = f"add_{block}"
                nodes.append(NodeProfile(f"{name}/Q", "Subgraph", "f32", ADD_MS * jitter(), (name,)))
    return tuple(nodes)


def true_ms(graph: ModelGraph, precisions: dict[str, str], float_type: str) -> float:
    """Return the exact latency."""
    return sum(n.ms for n in executed_nodes(graph, precisions, float_type))


def observe(
    graph: ModelGraph, precisions: dict[str, str], float_type: str, noise: np.random.Generator
) -> LatencyObservation:
    """Return a noisy observation: 1 % on the total, 5 % on each node."""
    total = true_ms(graph, precisions, float_type) * float(noise.lognormal(0.0, 0.01))
    return LatencyObservation(
        precisions, float_type, total, executed_nodes(graph, precisions, float_type, noise)
    )


def random_assignments(graph: ModelGraph, count: int, seed: int) -> list[tuple[dict[str, str], str]]:
    """Return (precisions, float type) drawn independently per site."""
    rng = child_rng(seed, "world")
    return [
        (
            {s.name: ("w8a8" if rng.random() < 0.5 else "fp") for s in graph.sites},
            "bf16" if rng.random() < 0.5 else "f32",
        )
        for _ in range(count)
    ]
