"""One run from configuration to answer: prepare, price, search, confirm, write."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from typing import TYPE_CHECKING
from typing import Any

from automl.core.dominance import nondominated_mask
from automl.core.errors import AutomlError
from automl.core.objective import losses
from automl.core.outcome import Event
from automl.core.outcome import EventKind
from automl.core.outcome import StopReason
from automl.core.outcome import StopRule
from automl.core.rng import child_seed
from automl.engine import SearchRun
from automl.engine import run_search
from automl.ledger import Ledger
from automl.stages.answer import ENDED_EARLY
from automl.stages.answer import Answer
from automl.stages.answer import Member
from automl.stages.answer import write_answer
from automl.stages.check import check_config
from automl.stages.check import check_measured
from automl.stages.check import check_sites
from automl.stages.check import check_space
from automl.stages.confirm import confirm
from automl.stages.confirm import conservative
from automl.stages.confirm import estimate_notes
from automl.stages.estimate import announce
from automl.stages.evaluate import CandidateEvaluator
from automl.stages.events import Progressed
from automl.stages.execute import start_executor
from automl.stages.folder import LEDGER_FILE
from automl.stages.folder import cache_folder
from automl.stages.prepare import prepare
from automl.stages.price import price
from automl.stages.problem import build_problem
from automl.stages.problem import objectives_of
from automl.stages.problem import uniform_candidates
from automl.stages.reach import out_of_reach
from automl.stages.report import write_run_report
from automl.stages.sittings import drift_notes
from automl.strategies.table import make_strategy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from automl.config import SearchConfig
    from automl.core.objective import Objective
    from automl.core.outcome import SearchOutcome
    from automl.stages.confirm import Confirmation
    from automl.stages.events import Listener
    from automl.stages.prepare import Workbench
    from automl.stages.price import Prices

__all__ = ["execute_run"]

#: Share of a time limit that is kept for confirming finalists.
CONFIRM_SHARE = 0.25

#: An option is measured uniformly as a reference when at least this share of the sites offers it; one that
#: a single layer takes is nearly the float model and would cost a trial of the search.
REFERENCE_SHARE = 0.5

NOMINAL_FILE = "nominal_ms.json"


@dataclass
class _Phases:
    """How long each phase took."""

    clock: Callable[[], float]
    rows: list[tuple[str, float]]
    began: float

    def done(self, name: str) -> None:
        now = self.clock()
        self.rows.append((name, now - self.began))
        self.began = now


def execute_run(config: SearchConfig, folder: Path, listener: Listener) -> Answer:
    """Run or continue a search in ``folder`` and return its answer.

    Raises:
        AutomlError: an input cannot be used; what was recorded before stays.
    """
    clock = time.monotonic
    start = clock()
    phases = _Phases(clock, [], start)
    check_config(config)
    cache = cache_folder(config)
    bench = prepare(config, folder, cache, listener)
    check_measured(config, bench.model.task, bench.data.labelled)
    check_sites(len(bench.traced.graph.sites), bench.model.name)
    check_space(bench.space, bench.model.name)
    for text in out_of_reach(bench.traced.graph, bench.legality, config.budgets):
        listener(Progressed("check", text=text))
    phases.done("prepare")
    evaluator = CandidateEvaluator(bench, nominal_ms=_stored_nominal(folder))
    try:
        announce(evaluator, listener)
        prices = price(evaluator, listener)
        evaluator.latency_model = prices.latency
        if bench.roofline is None:
            (folder / NOMINAL_FILE).write_text(json.dumps(evaluator.meter.nominal_ms))
        phases.done("price")
        objectives = objectives_of(bench)
        remaining = None
        if config.seconds is not None:
            remaining = max(1.0, config.seconds * (1 - CONFIRM_SHARE) - (clock() - start))
        outcome = _search(evaluator, prices, objectives, remaining, cache, listener)
        phases.done("search")
        try:
            answer = _conclude(evaluator, prices, outcome, objectives, phases, listener)
        except (AutomlError, OSError) as error:
            if outcome.error is not None:  # A full disk ends both; the first sentence says more.
                raise outcome.error from error
            raise
    finally:
        bench.target.close()
        bench.quality_target.close()
    return answer


def _conclude(
    evaluator: CandidateEvaluator,
    prices: Prices,
    outcome: SearchOutcome,
    objectives: tuple[Objective, ...],
    phases: _Phases,
    listener: Listener,
) -> Answer:
    """Confirm the finalists and write answer and report."""
    bench = evaluator.bench
    stamp = datetime.now(tz=UTC).isoformat(timespec="seconds")
    confirmed = confirm(evaluator, outcome.trials, objectives, bench.config.budgets, listener, stamp=stamp)
    phases.done("confirm")
    answer = _answer(bench, prices, outcome, confirmed, objectives)
    write_answer(bench.folder, answer)
    write_run_report(bench, prices, outcome, answer, tuple(phases.rows), stamp)
    return answer


def _stored_nominal(folder: Path) -> float | None:
    """Return the untouched model's latency of the run's first session, so that a resumed one prices alike."""
    file = folder / NOMINAL_FILE
    return float(json.loads(file.read_text())) if file.exists() else None


def _search(
    evaluator: CandidateEvaluator,
    prices: Prices,
    objectives: tuple[Objective, ...],
    seconds: float | None,
    cache: Path,
    listener: Listener,
) -> SearchOutcome:
    bench = evaluator.bench
    config, folder = bench.config, bench.folder
    executor, stages = start_executor(config, evaluator, folder, cache)
    where = config.storage if config.storage is not None else folder / LEDGER_FILE
    try:
        ledger = Ledger.open(
            where,
            study_name=folder.name,
            objectives=objectives,
            space=bench.space,
            meta=config.identity(),
            lock=folder / "ledger.lock",
        )
        try:
            return run_search(
                SearchRun(
                    make_strategy=lambda budgets: make_strategy(
                        config.strategy,
                        build_problem(
                            bench, prices, objectives, budgets, child_seed(config.seed, "strategy")
                        ),
                    ),
                    executor=executor,
                    ledger=ledger,
                    objectives=objectives,
                    baseline=bench.space.default,
                    budgets=config.budgets,
                    seed=config.seed,
                    stop=StopRule(trials=config.n_trials, seconds=seconds),
                    stages=stages,
                    references=tuple(uniform_candidates(bench.space, least_share=REFERENCE_SHARE)[1:]),
                    on_event=_relay(listener),
                )
            )
        finally:
            ledger.close()
    finally:
        executor.close()


def _relay(listener: Listener) -> Callable[[Event], None]:
    """Return a listener of the engine that speaks to the run's listener."""

    def relay(event: Event) -> None:
        if event.kind is EventKind.TRIAL:
            text = "from the ledger" if event.replayed else ""
            if event.trial is not None and event.trial.failure is not None:
                text = f"failed: {event.trial.failure}"
            listener(Progressed("search", event.done, event.limit, text, event.replayed))
        elif event.kind is EventKind.PHASE:
            listener(Progressed("search", event.done, event.limit, event.text))
        elif event.kind is EventKind.BATCH:
            listener(Progressed("search", event.done, event.limit, f"hypervolume {event.hypervolume:.4g}"))
        elif event.kind is EventKind.NOTE:
            listener(Progressed("search", text=event.text))

    return relay


def _answer(
    bench: Workbench,
    prices: Prices,
    outcome: SearchOutcome,
    confirmed: Confirmation,
    objectives: tuple[Objective, ...],
) -> Answer:
    hard = [b for b in confirmed.budgets if b.hard]

    def feasible(member: Member) -> bool:
        return all(member.budgets[b.text] for b in hard)

    everyone = [confirmed.trial0, *confirmed.members]
    front = _nondominated([m for m in everyone if feasible(m)], objectives)
    nearest = [] if front else _nondominated(everyone, objectives)
    info = bench.target.info()
    reachable = {}
    if not front:
        # Confirmed numbers only, latency at the upper end of its interval, as they were judged.
        measured = [conservative(m.measurement) for m in everyone]
        for budget in hard:
            values = [m[budget.metric].value for m in measured if budget.metric in m]
            if values:
                reachable[budget.metric] = (min(values), max(values))
    notes = [*estimate_notes(bench), *bench.data.notes, *outcome.notes]
    notes += drift_notes(outcome.trials, confirmed.trial0.measurement)
    notes += [f"not confirmed: {text}" for text in confirmed.failed]
    notes += [f"latency model: {text}" for text in prices.failed]
    if outcome.error is not None:
        notes.append(f"{ENDED_EARLY}: {outcome.error}")
    stopped = "interrupted" if outcome.stopped_by is StopReason.INTERRUPTED else str(outcome.stopped_by)
    return Answer(
        primary=objectives[0].metric,
        target={
            "name": info.name,
            "runtime": info.runtime,
            "device": info.device,
            "threads": info.threads,
            "batch": bench.config.batch,
            "machine": dict(info.machine),
            **_estimate(bench),
        },
        trial0=confirmed.trial0,
        defaults=confirmed.defaults,
        front=tuple(front),
        best=front[0].id if front else None,
        nearest=tuple(nearest),
        budgets=confirmed.budgets,
        reachable=reachable,
        stopped_by=stopped,
        notes=tuple(notes),
        curves=outcome.curves,
    )


def _estimate(bench: Workbench) -> dict[str, Any]:
    """Return what latency was estimated for, nothing when it was measured."""
    if bench.roofline is None:
        return {}
    device = bench.roofline.device
    return {"estimate": {"device": device.name, "title": device.title, "method": "roofline"}}


def _nondominated(members: list[Member], objectives: tuple[Objective, ...]) -> list[Member]:
    """Return the non-dominated members, best first objective first."""
    if not members:
        return []
    points = losses(objectives, [m.measurement for m in members])
    kept = [(tuple(points[i]), members[i]) for i in range(len(members)) if nondominated_mask(points)[i]]
    return [m for _, m in sorted(kept, key=lambda pair: pair[0])]
