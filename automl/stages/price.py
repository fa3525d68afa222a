"""Price the options once: damage of each option alone, and latency learned from designed candidates.

Both tables are content-hashed and kept, so a second budget on the same model, data and machine costs seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from automl.core.candidate import Candidate
from automl.core.errors import EvaluationError
from automl.core.measurement import is_maximized
from automl.core.rng import child_rng
from automl.core.rng import child_seed
from automl.evaluators.latency_design import design_candidates
from automl.evaluators.latency_model import LatencyModel
from automl.evaluators.latency_model import LatencyObservation
from automl.evaluators.sensitivity import kl_table
from automl.evaluators.size import site_bytes
from automl.searchspaces.builders.precision import assignment_of
from automl.stages.events import Progressed
from automl.strategies.base import AdditiveTables

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from automl.core.objective import Objective
    from automl.stages.evaluate import CandidateEvaluator
    from automl.stages.events import Listener
    from automl.stages.prepare import Workbench

__all__ = ["Prices", "damage_table", "fit_latency", "price"]


@dataclass(frozen=True, eq=False)
class Prices:
    """What every option costs before any candidate of the search is evaluated.

    Args:
        damage: (site, option) -> KL divergence to the untouched model with that option alone.
        float_damage: float type -> the same for the type of everything not quantized.
        latency: the fitted latency model, or None when latency cannot be measured.
        failed: designed candidates that could not be measured, with the reason.
    """

    damage: Mapping[tuple[str, str], float]
    float_damage: Mapping[str, float]
    latency: LatencyModel | None
    failed: tuple[str, ...] = ()


def damage_table(bench: Workbench, listener: Listener) -> dict[tuple[str, str], float]:
    """Return the KL damage of each option alone, from the cache when it was measured before."""
    n = bench.config.spend.sensitivity_samples
    graph, rules = bench.traced.graph, bench.target.rules
    key = ["damage", *bench.key, n, bench.config.calibration, repr(rules), __version__]
    stored = bench.cache.get(key) or {}
    table: dict[tuple[str, str], float] = {}
    missing: dict[str, tuple[str, ...]] = {}
    for site in graph.sites:
        for option in bench.legality.options.get(site.name, ()):
            if option == "fp":
                table[(site.name, option)] = 0.0
            elif f"{site.name}|{option}" in stored:
                table[(site.name, option)] = stored[f"{site.name}|{option}"]
            else:
                missing[site.name] = (*missing.get(site.name, ()), option)
    if missing:
        samples = bench.data.calibration.take(slice(0, min(n, len(bench.data.calibration))))
        total = sum(map(len, missing.values()))
        listener(Progressed("price damage", 0, total, "each option alone, on calibration data"))
        measured = kl_table(
            bench.traced,
            samples,
            weights_of=bench.quantizer.weight,
            edges_of=bench.quantizer.site_edges,
            options=missing,
        )
        table.update(measured)
        stored.update({f"{site}|{option}": value for (site, option), value in measured.items()})
        bench.cache.put(key, stored)
        listener(Progressed("price damage", total, total, ""))
    return table
