"""Reach: budgets on counted metrics that no candidate can meet, known before anything is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automl.core.measurement import Measurement
from automl.core.measurement import Metric
from automl.evaluators.compute import bops
from automl.evaluators.compute import site_bops
from automl.evaluators.size import site_size
from automl.evaluators.size import size_bytes
from automl.evaluators.size import weight_bits

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence

    from automl.core.budget import Budget
    from automl.searchspaces.graph import ModelGraph
    from automl.searchspaces.graph import Site
    from automl.targets.base import Legality

__all__ = ["least_counts", "out_of_reach"]


def _counts(
    graph: ModelGraph, stored: dict[str, str], worked: dict[str, str], float_type: str
) -> Measurement:
    return Measurement(
        {
            "size_bytes": Metric(size_bytes(graph, stored), "B"),
            "weight_bits": Metric(weight_bits(graph, stored), "bit"),
            "macs": Metric(graph.macs, "MAC"),
            "bops": Metric(bops(graph, worked, float_type), "BOP"),
        }
    )


def least_counts(graph: ModelGraph, legality: Legality) -> Measurement:
    """Return a lower bound on size, bits, MACs and BOPs: every site at its cheapest option for each.

    Sites that must share their option are bounded one by one, so the bound may lie below what is reachable.
    """

    def cheapest(cost: Callable[[Site, str], float]) -> dict[str, str]:
        return {
            site.name: min(legality.options[site.name], key=lambda option: cost(site, option))
            for site in graph.sites
            if legality.options.get(site.name)
        }

    float_type = min(legality.float_types, key=lambda name: bops(graph, {}, name))
    return _counts(
        graph,
        cheapest(lambda site, option: site_size(site, option).total_bytes),
        cheapest(lambda site, option: site_bops(site, option, float_type)),
        float_type,
    )


def out_of_reach(graph: ModelGraph, legality: Legality, budgets: Sequence[Budget]) -> list[str]:
    """Return a sentence for each hard budget that the options of this target cannot meet.

    Args:
        graph: the model.
        legality: options and float types that are searched.
        budgets: as the user gave them; relative ones refer to the untouched model in f32.
    """
    untouched, least = _counts(graph, {}, {}, "f32"), least_counts(graph, legality)
    found = []
    for budget in budgets:
        if not budget.hard or budget.metric not in least:
            continue
        if not budget.resolve(untouched).holds(least):
            ratio = least[budget.metric].value / untouched[budget.metric].value
            found.append(
                f"budget {budget.text} is out of reach: with the options of this target {budget.metric} ends "
                f"at {least[budget.metric].value:.4g}, {ratio:.2f}x of the untouched model, so the run can "
                "only end with the nearest"
            )
    return found
