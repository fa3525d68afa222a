"""From prices to the strategy's problem: additive tables, predictions, and seeds from the exact solver."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from automl.config import ESTIMATED
from automl.core.candidate import Candidate
from automl.core.errors import StrategyError
from automl.core.objective import Objective
from automl.evaluators.compute import site_bops
from automl.evaluators.latency_tables import latency_tables
from automl.evaluators.quality import primary_metric
from automl.evaluators.relaxed_quality import RelaxedQuality
from automl.evaluators.roofline_tables import roofline_tables
from automl.evaluators.size import site_size
from automl.searchspaces.space import SearchSpace
from automl.stages.price import LOGIT_TASKS
from automl.stages.price import damage_samples
from automl.stages.price import option_reads
from automl.stages.price import site_damage
from automl.strategies.base import AdditiveTables
from automl.strategies.base import Problem
from automl.strategies.table import make_strategy

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from automl.core.budget import Budget
    from automl.stages.prepare import Workbench
    from automl.stages.price import Prices

__all__ = [
    "additive_tables",
    "build_problem",
    "exact_seeds",
    "objectives_of",
    "relaxed_quality",
    "uniform_candidates",
]

#: Exact solutions proposed for each float type, the one at the budget first.
SEEDS_PER_FLOAT = 6


def objectives_of(bench: Workbench) -> tuple[Objective, ...]:
    """Return the axes of the front: quality, latency, and size and memory when they are limited."""
    quality = Objective(primary_metric(bench.model.task, bench.data.labelled))
    limited = {b.metric for b in bench.config.budgets}
    size = [Objective(m) for m in ("size_bytes", "weight_bits", "bops") if m in limited]
    memory = [Objective("memory_bytes")] if "memory_bytes" in limited else []
    return (quality, Objective(bench.config.latency_metric), *size[:1], *memory)


def uniform_candidates(space: SearchSpace, *, least_share: float = 0.0) -> list[tuple[str, Candidate]]:
    """Return (name, candidate) of every option used wherever it is offered, in every float type.

    Args:
        space: the search space.
        least_share: leave out options that fewer than this share of the precision dimensions offer.
    """
    found: dict[str, tuple[str, Candidate]] = {}
    offers = Counter(o for d in space.dimensions if d.kind == "precision" for o in d.options)
    least = least_share * sum(d.kind == "precision" for d in space.dimensions)
    options = [o for o, count in offers.items() if count >= least]
    floats = next((d.options for d in space.dimensions if d.kind == "float"), ("f32",))
    for float_type in floats:
        for option in options:
            assignment = dict(space.uniform("precision", option).as_dict)
            if "float:model" in assignment:
                assignment["float:model"] = float_type
            candidate = Candidate.of(assignment)
            found.setdefault(candidate.digest, (f"uniform {option}, {float_type}", candidate))
    return list(found.values())


def additive_tables(
    bench: Workbench, prices: Prices, space: SearchSpace, float_type: str | None
) -> AdditiveTables:
    """Return unary and pair prices over ``space``.

    Args:
        bench: the workbench.
        prices: damage and latency.
        space: the run's space, or the same without the float dimension.
        float_type: the type to price for when ``space`` has no float dimension.
    """
    quality = primary_metric(bench.model.task, bench.data.labelled)
    graph = bench.traced.graph
    sites = [graph.site(s) for s in graph.site_by_name]
    fixed = 4 * graph.n_other_parameters
    in_space = {s for d in space.dimensions if d.kind == "precision" for s in d.sites}
    outside = sum(site_size(s, "fp").total_bytes for s in sites if s.name not in in_space)
    weights = sum(s.n_weights for s in sites)
    damage: list[NDArray[np.float64]] = []
    size: list[NDArray[np.float64]] = []
    bits: list[NDArray[np.float64]] = []
    work: list[NDArray[np.float64]] = []
    for dimension in space.dimensions:
        if dimension.kind != "precision":
            damage.append(np.array([prices.float_damage.get(str(o), 0.0) for o in dimension.options]))
            for table in (size, bits, work):
                table.append(np.zeros(len(dimension.options)))
            continue
        members = [graph.site(s) for s in dimension.sites]
        names = [str(o) for o in dimension.options]
        stored = np.array([float(sum(site_size(s, o).total_bytes for s in members)) for o in names])
        damage.append(np.array([site_damage(prices, dimension.sites, o) for o in names]))
        size.append(stored)
        bits.append(stored * 8.0 / weights)
        work.append(
            np.array([float(sum(site_bops(s, o, float_type or "f32") for s in members)) for o in names])
        )
    unary = {
        quality: tuple(damage),
        "size_bytes": tuple(size),
        "weight_bits": tuple(bits),
        "bops": tuple(work),
    }
    constant = {"size_bytes": float(fixed + outside), "weight_bits": 8.0 * outside / weights}
    pairwise: dict[str, dict[tuple[int, int], NDArray[np.float64]]] = {}
    if prices.latency is not None:
        latency = latency_tables(prices.latency, space, float_type=float_type or "f32", max_pairs=200)
        unary["latency_ms"] = latency.unary
        pairwise["latency_ms"] = dict(latency.pairwise)
        constant["latency_ms"] = latency.constant
    if bench.roofline is not None:
        priced = roofline_tables(bench.roofline, space, float_type=float_type or "f32")
        unary[ESTIMATED] = priced.unary
        pairwise[ESTIMATED] = dict(priced.pairwise)
        constant[ESTIMATED] = priced.constant
    return AdditiveTables(unary, pairwise, constant)


def predictor(
    bench: Workbench, prices: Prices, tables: AdditiveTables, objectives: tuple[Objective, ...]
) -> Callable[[NDArray[np.int64]], NDArray[np.float64]]:
    """Return codes -> minimized predicted objectives, latency by the model itself.

    What has no price is NaN: memory is measured and not added up, because runtimes unpack, convert and copy
    weights as they like.
    """

    def predict(codes: NDArray[np.int64]) -> NDArray[np.float64]:
        columns = []
        for objective in objectives:
            if objective.metric == "latency_ms" and prices.latency is not None:
                columns.append(prices.latency.predict_codes(bench.space, codes)[0])
            elif objective.metric in tables.unary:
                columns.append(tables.predict(objective.metric, codes))
            else:
                columns.append(np.full(len(codes), np.nan))
        return np.stack(columns, axis=1)

    return predict


def relaxed_quality(bench: Workbench, prices: Prices) -> RelaxedQuality:
    """Return the divergence of a mixture of options on the samples that the damage was measured on.

    It holds no copy of the model and computes nothing until it is asked.
    """
    other = {
        d.name: np.array([prices.float_damage.get(str(o), 0.0) for o in d.options])
        for d in bench.space.dimensions
        if d.kind != "precision"
    }
    return RelaxedQuality(
        bench.traced,
        bench.data.calibration.take(slice(0, damage_samples(bench))),
        bench.space,
        weights_of=bench.quantizer.weight,
        edges_of=lambda site, option: option_reads(bench, site, option),
        prices=other,
        task="logits" if bench.model.task in LOGIT_TASKS else "embedding",
    )


def exact_seeds(
    bench: Workbench,
    prices: Prices,
    objectives: tuple[Objective, ...],
    budgets: tuple[Budget, ...],
    seed: int,
) -> list[Candidate]:
    """Return exact additive solutions for each float type alone, where pair terms hold exactly."""
    rest = tuple(d for d in bench.space.dimensions if d.kind != "float")
    floats = next((d.options for d in bench.space.dimensions if d.kind == "float"), (None,))
    sub = SearchSpace(rest)
    seeds: list[list[Candidate]] = []
    for float_type in floats:
        name = None if float_type is None else str(float_type)
        tables = additive_tables(bench, prices, sub, name)
        try:
            solver = make_strategy("exact", Problem(sub, objectives, budgets, seed, tables))
        except StrategyError:
            return []
        found = solver.ask(SEEDS_PER_FLOAT)
        extra = {} if name is None else {"float:model": name}
        seeds.append([Candidate.of({**c.as_dict, **extra}) for c in found])
    return [c for rank in range(SEEDS_PER_FLOAT) for row in seeds for c in row[rank : rank + 1]]


def build_problem(
    bench: Workbench,
    prices: Prices,
    objectives: tuple[Objective, ...],
    budgets: tuple[Budget, ...],
    seed: int,
) -> Problem:
    """Return the problem of a strategy: space, resolved budgets, prices, predictions, seeds, relaxed loss.

    Latency limits are tightened by the model's own error for the exact solver's seeds, so that they are
    likely to hold when measured.
    """
    margin = 1.0
    if prices.latency is not None:
        margin = 1.0 - min(0.1, prices.latency.held_out.mape)
    careful = tuple(replace(b, limit=b.limit * margin) if b.metric == "latency_ms" else b for b in budgets)
    tables = additive_tables(bench, prices, bench.space, None)
    priced = prices.latency is not None or bench.roofline is not None
    seeds = exact_seeds(bench, prices, objectives, careful, seed)
    uniform = [c for _, c in uniform_candidates(bench.space)]
    return Problem(
        bench.space,
        objectives,
        budgets,
        seed,
        tables if priced else None,
        predictor(bench, prices, tables, objectives) if priced else None,
        tuple({c.digest: c for c in (*seeds, *uniform)}.values()),
        relaxed_quality(bench, prices),
    )
