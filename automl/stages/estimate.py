"""Estimate: how long the run will take, said before its long part starts.

The first steps of each kind are timed as they have to be done anyway: one graph written and compiled, one
batch predicted, the untouched model timed, one batch through the torch model, the dearest layer rounded.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import torch

from automl.core.errors import LedgerError
from automl.ledger import read_ledger
from automl.stages.estimate_math import Amounts
from automl.stages.estimate_math import Paces
from automl.stages.estimate_math import duration_text
from automl.stages.estimate_math import estimate
from automl.stages.events import Progressed
from automl.stages.folder import LEDGER_FILE
from automl.stages.price import damage_samples
from automl.stages.price import missing_damage
from automl.stages.price import missing_designs
from automl.transforms.precision import parse_precision

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping

    from automl.searchspaces.graph import ModelGraph
    from automl.searchspaces.graph import Site
    from automl.stages.evaluate import CandidateEvaluator
    from automl.stages.events import Listener
    from automl.stages.prepare import Workbench

__all__ = ["announce", "estimate_text", "measure_amounts", "measure_paces", "suffix_shares"]

#: Samples of the batches that are timed.
TIMED_BATCH = 4


def suffix_shares(graph: ModelGraph) -> dict[str, float]:
    """Return by site the share of the model's MACs that it and what follows it take, from 0 to 1."""
    macs = np.array([float(site.macs) for site in graph.sites])
    after = np.cumsum(macs[::-1])[::-1]
    return {site.name: float(a / after[0]) for site, a in zip(graph.sites, after, strict=True)}


def _rounding_cost(site: Site) -> float:
    """Return what compensated rounding of a layer costs, up to a factor: weights times columns."""
    return float(site.n_weights) * site.n_weights / site.weight_shape[0]


def _roundings(bench: Workbench, options: Mapping[str, tuple[str, ...]]) -> float:
    """Return the rounding work of ``options``, one count a (bits, group) below 8 bits, up to a factor."""
    total = 0.0
    for name, names in options.items():
        formats = {(p.weight_bits, p.group) for p in map(parse_precision, names) if not p.is_float}
        total += _rounding_cost(bench.traced.graph.site(name)) * sum(bits < 8 for bits, _ in formats)
    return total


def _timed_layer(bench: Workbench, options: Mapping[str, tuple[str, ...]]) -> tuple[Site, str] | None:
    """Return the dearest layer with an option below 8 bits, and that option."""
    below = {
        name: next((o for o in names if o != "fp" and parse_precision(o).weight_bits < 8), None)
        for name, names in options.items()
    }
    found = [bench.traced.graph.site(name) for name, option in below.items() if option is not None]
    if not found:
        return None
    site = max(found, key=_rounding_cost)
    option = below[site.name]
    return None if option is None else (site, option)


def measure_amounts(evaluator: CandidateEvaluator, *, recorded: int = 0) -> Amounts:
    """Count what is left to do; tables in the cache and recorded trials are done."""
    bench = evaluator.bench
    spend, missing = bench.config.spend, missing_damage(bench)
    shares = suffix_shares(bench.traced.graph)
    changed = sum(shares[name] * len(options) for name, options in missing.items())
    timed = _timed_layer(bench, bench.legality.options)
    unit = _rounding_cost(timed[0]) if timed is not None else 1.0
    low = {n: tuple(o for o in names if o != "fp")[-1:] for n, names in bench.legality.options.items()}
    trials = max(0, bench.config.n_trials - recorded)
    finalists = min(spend.confirm, bench.config.n_trials)
    return Amounts(
        roundings=_roundings(bench, missing) / unit,
        passes=damage_samples(bench) * (changed + 1.0) if missing else 0.0,
        designs=missing_designs(bench),
        trials=trials,
        finalists=finalists,
        repairs=min(spend.repairs, finalists),
        layer_roundings=_roundings(bench, low) / unit,
        repeats=spend.repeats,
        confirm_repeats=spend.confirm_repeats,
        evaluation=len(bench.data.evaluation),
        calibration=len(bench.data.calibration),
        workers=bench.config.workers,
    )


def measure_paces(evaluator: CandidateEvaluator, clock: Callable[[], float] = time.monotonic) -> Paces:
    """Time the first step of each kind; what they give is kept by the workbench or was needed anyway."""
    bench = evaluator.bench
    bench.target.info()
    bench.quality_target.info()
    began = clock()
    file = evaluator.reference_file
    write = clock() - began
    few = bench.data.evaluation.take(slice(0, 2 * TIMED_BATCH))
    times = []
    for _ in range(2):  # The first one compiles the graph.
        began = clock()
        evaluator.predict(file, "f32", few)
        times.append(clock() - began)
    timed = _timed_layer(bench, missing_damage(bench))
    began = clock()
    if timed is not None:
        bench.quantizer.weight(timed[0].name, timed[1])
    rounding = clock() - began
    return Paces(
        rounding=rounding,
        forward=_forward(bench, clock),
        write=write,
        load=max(0.0, times[0] - times[1]),
        sample=times[1] / len(few),
        run=0.0 if bench.roofline is not None else evaluator.meter.nominal_ms / 1e3,
    )


def _forward(bench: Workbench, clock: Callable[[], float]) -> float:
    """Return the seconds of one calibration sample through the torch model, the first pass left out."""
    size = TIMED_BATCH if bench.traced.dynamic_batch else 1
    batch = bench.data.calibration.take(slice(0, size)).inputs
    tensors = [torch.from_numpy(np.ascontiguousarray(a)) for a in batch]
    with torch.inference_mode():
        bench.traced.module(*tensors)
        began = clock()
        bench.traced.module(*tensors)
        return (clock() - began) / len(batch[0])


def estimate_text(amounts: Amounts, seconds: Mapping[str, float], limit: str | None) -> str:
    """Return the line that a run begins with."""
    price = seconds["price damage"] + seconds["price latency"]
    total = price + seconds["search"] + seconds["confirm"]
    parts = [
        f"price {duration_text(price)} ({amounts.designs} mixes to time)" if price else "prices known",
        f"search {duration_text(seconds['search'])} ({amounts.trials} trials)",
        f"confirm {duration_text(seconds['confirm'])} ({amounts.finalists} finalists)",
    ]
    ending = "" if limit is None else f"; the search stops early enough for --time {limit}"
    return f"estimate: about {duration_text(total)}: {', '.join(parts)}{ending}"


def announce(evaluator: CandidateEvaluator, listener: Listener) -> None:
    """Say how long the run will take."""
    config = evaluator.bench.config
    recorded = 0
    if evaluator.nominal_ms is not None:  # A resumed run.
        where = config.storage if config.storage is not None else evaluator.bench.folder / LEDGER_FILE
        try:
            recorded = len(read_ledger(where, study_name=evaluator.bench.folder.name).trials)
        except LedgerError:
            recorded = 0  # Killed before its first trial; a damaged ledger is named when it is opened.
    amounts = measure_amounts(evaluator, recorded=recorded)
    seconds = estimate(amounts, measure_paces(evaluator))
    listener(Progressed("estimate", text=estimate_text(amounts, seconds, config.time)))
