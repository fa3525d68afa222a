"""Price the options once: damage of each option alone, and latency learned from designed candidates.

Both are content-hashed and kept, so a second budget on the same model, data and machine costs seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from automl.core.errors import EvaluationError
from automl.core.rng import child_seed
from automl.evaluators.latency_design import design_candidates
from automl.evaluators.latency_model import LatencyModel
from automl.evaluators.latency_model import LatencyObservation
from automl.evaluators.sensitivity import kl_table
from automl.searchspaces.builders.precision import assignment_of
from automl.stages.code_version import code_version
from automl.stages.events import Progressed
from automl.transforms.plan_builder import quantized_reads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from automl.core.candidate import Candidate
    from automl.stages.evaluate import CandidateEvaluator
    from automl.stages.events import Listener
    from automl.stages.prepare import Workbench
    from automl.transforms.plan import ActivationQuantizer

__all__ = [
    "Prices",
    "damage_samples",
    "damage_table",
    "fit_latency",
    "float_damage",
    "missing_damage",
    "missing_designs",
    "option_reads",
    "price",
]

#: Fewest measured candidates from which a latency model is learned.
FEWEST_DESIGNS = 8

#: Tasks whose outputs are logits, so that damage is a divergence in nats.
LOGIT_TASKS = frozenset({"image-classification", "causal-lm"})

#: Nats that a float type costs in which the untouched model does not compute; no real damage comes near.
UNUSABLE_DAMAGE = 1e3


@dataclass(frozen=True, eq=False)
class Prices:
    """What every option costs before any candidate of the search is evaluated.

    Args:
        damage: (site, option) -> divergence from the untouched model with that option alone.
        float_damage: float type -> the same for the type of everything not quantized.
        latency: the fitted latency model, None when too few candidates could be measured.
        observations: the measured designs behind it.
        failed: designs that could not be measured, with the reason.
    """

    damage: Mapping[tuple[str, str], float]
    float_damage: Mapping[str, float]
    latency: LatencyModel | None
    observations: tuple[LatencyObservation, ...] = ()
    failed: tuple[str, ...] = ()


def option_reads(bench: Workbench, site: str, option: str) -> dict[tuple[str, str], ActivationQuantizer]:
    """Return the reads that are quantized when one site alone takes an option, with their quantizers."""
    reads = quantized_reads(bench.traced.graph, {site: option}, bench.target.rules)
    return {read: bench.quantizer.activation(read[0]) for read in reads}


def damage_samples(bench: Workbench) -> int:
    """Return how many calibration samples the damage is measured on."""
    return min(bench.config.spend.sensitivity_samples, len(bench.data.calibration))


def _damage_key(bench: Workbench) -> list[object]:
    return ["damage", code_version(), *bench.key, damage_samples(bench), repr(bench.target.rules)]


def _known_damage(bench: Workbench) -> dict[str, float]:
    stored = bench.cache.get(_damage_key(bench))
    return dict(stored) if isinstance(stored, dict) else {}


def missing_damage(bench: Workbench) -> dict[str, tuple[str, ...]]:
    """Return by site the options whose damage no earlier run has measured."""
    known = _known_damage(bench)
    missing = {
        site: tuple(o for o in options if o != "fp" and f"{site}|{o}" not in known)
        for site, options in bench.legality.options.items()
    }
    return {site: options for site, options in missing.items() if options}


def damage_table(bench: Workbench, listener: Listener) -> dict[tuple[str, str], float]:
    """Return the damage of each option alone, from the cache where it was measured before."""
    count, key = damage_samples(bench), _damage_key(bench)
    known, missing = _known_damage(bench), missing_damage(bench)
    total = sum(map(len, missing.values()))
    for index, (site, options) in enumerate(missing.items()):
        listener(Progressed("price rounding", index, len(missing), "weights of each option"))
        for option in options:
            bench.quantizer.weight(site, option)  # Kept; the damage and the candidates take it from there.
    if total:
        listener(Progressed("price rounding", len(missing), len(missing)))
        listener(Progressed("price damage", 0, total, "each option alone, on calibration data"))
        measured = kl_table(
            bench.traced,
            bench.data.calibration.take(slice(0, count)),
            weights_of=bench.quantizer.weight,
            edges_of=lambda site, option: option_reads(bench, site, option),
            options=missing,
            task="logits" if bench.model.task in LOGIT_TASKS else "embedding",
            progress=lambda done, steps: listener(Progressed("price damage", done, steps)),
        )
        known.update({f"{site}|{option}": value for (site, option), value in measured.items()})
        bench.cache.put(key, known)
    return {
        (site, option): 0.0 if option == "fp" else known[f"{site}|{option}"]
        for site, options in bench.legality.options.items()
        for option in options
    }


def float_damage(evaluator: CandidateEvaluator) -> dict[str, float]:
    """Return the divergence of the untouched model in each float type from f32, on calibration data.

    A type in which the model gives no finite outputs is priced at :data:`UNUSABLE_DAMAGE`.
    """
    bench = evaluator.bench
    samples = bench.data.calibration.take(slice(0, min(32, len(bench.data.calibration))))
    key = ["float damage", code_version(), *bench.key, len(samples), bench.target.info().name]
    stored = bench.cache.get(key)
    known: dict[str, float] = dict(stored) if isinstance(stored, dict) else {"f32": 0.0}
    missing = [t for t in bench.legality.float_types if t not in known]
    if missing:
        exact = evaluator.predict(evaluator.reference_file, "f32", samples)
        for name in missing:
            try:
                outputs = evaluator.predict(evaluator.reference_file, name, samples)
                measured = evaluator.score(outputs, exact, samples)
            except EvaluationError:
                # Candidates in this type then fail as trials, with the reason; the price keeps others first.
                known[name] = UNUSABLE_DAMAGE
                continue
            known[name] = measured["kl"].value if "kl" in measured else 1.0 - measured["cosine"].value
        bench.cache.put(key, known)
    return known


def _latency_key(bench: Workbench, candidate: Candidate) -> list[object]:
    info, batch = repr(bench.target.info()), bench.config.batch
    return ["latency", code_version(), bench.traced.graph.fingerprint, candidate.digest, batch, info]


def planned_designs(bench: Workbench) -> list[Candidate]:
    """Return the designed candidates that the latency model learns from."""
    seed, count = child_seed(bench.config.drawn_seed, "latency"), bench.config.spend.latency_designs
    return design_candidates(bench.space, bench.traced.graph, count, seed)


def missing_designs(bench: Workbench) -> int:
    """Return how many of the designs no earlier run has measured."""
    if bench.roofline is not None:
        return 0
    keys = (_latency_key(bench, candidate) for candidate in planned_designs(bench))
    return sum(not isinstance(bench.cache.get(key), dict) for key in keys)


def _observe(evaluator: CandidateEvaluator, candidate: Candidate) -> LatencyObservation:
    """Return the measured latency and profile of a design, from the cache where it was measured before.

    What is kept is the ratio to the untouched model of the same sitting, so drift between sittings cancels.
    """
    bench, meter = evaluator.bench, evaluator.meter
    precisions, float_type = assignment_of(candidate, bench.space)
    config, key = bench.config, _latency_key(bench, candidate)
    stored = bench.cache.get(key)
    if not isinstance(stored, dict):
        file = evaluator.write(candidate)
        try:
            seen = meter.observe(file, float_type, precisions, repeats=config.spend.repeats)
        finally:
            evaluator.discard(file)
        ratio = LatencyObservation(precisions, float_type, seen.timing_ms / meter.nominal_ms, seen.profile)
        stored = ratio.to_json()
        bench.cache.put(key, stored)
    known = LatencyObservation.from_json(stored)
    return LatencyObservation(precisions, float_type, known.timing_ms * meter.nominal_ms, known.profile)


def fit_latency(
    evaluator: CandidateEvaluator, listener: Listener
) -> tuple[LatencyModel | None, tuple[LatencyObservation, ...], tuple[str, ...]]:
    """Measure the designs and fit the latency model; returns it, the observations, and the failures.

    An estimate needs neither: the roofline is the price.
    """
    bench = evaluator.bench
    if bench.roofline is not None:
        return None, (), ()
    seed = child_seed(bench.config.drawn_seed, "latency")
    designs = planned_designs(bench)
    observations: list[LatencyObservation] = []
    failed: list[str] = []
    for index, candidate in enumerate(designs):
        listener(Progressed("price latency", index, len(designs), "designed mixes on the target"))
        try:
            observations.append(_observe(evaluator, candidate))
        except EvaluationError as error:
            failed.append(f"{candidate.digest[:8]}: {error}")
    listener(Progressed("price latency", len(designs), len(designs)))
    if len(observations) < FEWEST_DESIGNS:
        return None, tuple(observations), tuple(failed)
    try:
        model = LatencyModel.fit(bench.traced.graph, observations, seed=seed)
    except EvaluationError as error:
        # A model of microseconds is below the resolution of the runtime's profile; the search still measures.
        return None, tuple(observations), (*failed, f"no latency model: {error}")
    return model, tuple(observations), tuple(failed)


def price(evaluator: CandidateEvaluator, listener: Listener) -> Prices:
    """Return the damage table and the latency model of a workbench."""
    damage = damage_table(evaluator.bench, listener)
    model, observations, failed = fit_latency(evaluator, listener)
    return Prices(damage, float_damage(evaluator), model, observations, failed)


def site_damage(prices: Prices, sites: tuple[str, ...], option: str) -> float:
    """Return the summed damage of one option at tied sites; a site without it stays ``fp``."""
    return float(np.sum([prices.damage.get((site, option), 0.0) for site in sites]))
