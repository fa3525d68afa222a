"""The report of a run: plain values from ledger, prices and answer, written as one HTML file."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from automl.artifact.report import write_page
from automl.artifact.report_data import BudgetLine
from automl.artifact.report_data import PredictionCheck
from automl.artifact.report_data import PredictionPoint
from automl.artifact.report_data import ReportData
from automl.artifact.report_data import ReportTrial
from automl.artifact.report_data import SensitivityTable
from automl.artifact.report_data import SiteChoice
from automl.artifact.report_data import StruckOption
from automl.core.errors import LedgerError
from automl.core.front import latest_complete
from automl.evaluators.latency_math import kendall_tau
from automl.evaluators.latency_math import mape
from automl.evaluators.latency_plain import PlainSum
from automl.evaluators.size import site_size
from automl.searchspaces.builders.precision import assignment_of
from automl.stages.folder import no_answer
from automl.stages.sittings import at_speed
from automl.stages.sittings import speed_change

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from automl.core.candidate import Candidate
    from automl.core.outcome import SearchOutcome
    from automl.core.served import ServedSite
    from automl.stages.answer import Answer
    from automl.stages.answer import Member
    from automl.stages.prepare import Workbench
    from automl.stages.price import Prices

__all__ = ["report_data", "rewrite_report", "write_run_report"]

REPORT_FILE = "report.html"
DATA_FILE = "report.json"

#: Fewest predicted and measured candidates for which an error is stated.
FEWEST_POINTS = 5


def _label(bench: Workbench, candidate: Candidate) -> str:
    precisions, float_type = assignment_of(candidate, bench.space)
    counts = Counter(precisions.values())
    return ", ".join([float_type, *(f"{option} x {n}" for option, n in counts.most_common())])


def _trials(bench: Workbench, outcome: SearchOutcome, answer: Answer) -> list[ReportTrial]:
    """Return the ledger's trials; what was confirmed shows its confirmed numbers.

    Latencies of the others are those of the search at the speed that the machine had in confirmation, so that
    they compare with the confirmed ones and with the budgets.
    """
    confirmed: dict[str, Member] = {
        m.candidate.digest: m for m in (*answer.nearest, *answer.front, answer.trial0)
    }
    on_front = {m.candidate.digest for m in answer.front}
    latest = {trial.number for trial in latest_complete(outcome.trials)}
    change = speed_change(outcome.trials, answer.trial0.measurement)
    rows = []
    for trial in outcome.trials:
        # of a candidate measured on a subset first and then on all, one row is the confirmed one
        member = confirmed.get(trial.candidate.digest) if trial.number in latest else None
        metrics = at_speed(trial.measurement or {}, change)
        if member is not None:
            # The prediction is of the search's sitting, and everything else was measured again.
            predicted_then = {k: v for k, v in metrics.items() if k == "predicted_latency_ms"}
            metrics = {**dict(member.measurement), **predicted_then}
        predicted = metrics.pop("predicted_latency_ms", None)
        rows.append(
            ReportTrial(
                number=trial.number,
                digest=trial.candidate.digest,
                label=_label(bench, trial.candidate),
                origin=trial.origin,
                fidelity="confirmed" if member is not None else str(trial.fidelity),
                metrics=metrics,
                predicted={} if predicted is None else {"latency_ms": predicted.value},
                budgets=dict(member.budgets) if member is not None else {},
                on_front=trial.candidate.digest in on_front,
                pick=member is not None and member.id == answer.best,
                failure=trial.failure,
                seconds=trial.seconds,
            )
        )
    return rows


def _choices(bench: Workbench, prices: Prices, candidate: Candidate) -> tuple[SiteChoice, ...]:
    """Return each site's option and the alternative that the prices favour most."""
    precisions, float_type = assignment_of(candidate, bench.space)
    rows = []
    for dimension in bench.space.dimensions:
        if dimension.kind != "precision":
            continue
        chosen = str(candidate[dimension.name])
        others = [str(o) for o in dimension.options if o != chosen]
        changes = [_change(bench, prices, precisions, float_type, dimension.sites, chosen, o) for o in others]
        best = min(range(len(others)), key=lambda i: (changes[i][0] > 0) + max(changes[i][1] or 0.0, 0.0))
        for site in dimension.sites:
            facts = bench.traced.graph.site(site)
            rows.append(
                SiteChoice(
                    site,
                    chosen,
                    others[best],
                    changes[best][1],
                    changes[best][0],
                    facts.macs,
                    site_size(facts, chosen).total_bytes,
                )
            )
    return tuple(rows)


def _change(
    bench: Workbench,
    prices: Prices,
    precisions: Mapping[str, str],
    float_type: str,
    sites: tuple[str, ...],
    chosen: str,
    other: str,
) -> tuple[float, float | None]:
    """Return (change of damage, change of predicted milliseconds) of taking ``other`` at ``sites``."""
    damage = sum(prices.damage.get((s, other), 0.0) - prices.damage.get((s, chosen), 0.0) for s in sites)
    changed = {**precisions, **dict.fromkeys(sites, other)}
    if bench.roofline is not None:
        before, after = (bench.roofline.latency_ms(p, float_type) for p in (precisions, changed))
        return damage, after - before
    if prices.latency is None:
        return damage, None
    mean, _ = prices.latency.predict([dict(precisions), changed], [float_type, float_type])
    return damage, float(mean[1] - mean[0])


def _sensitivity(bench: Workbench, prices: Prices) -> SensitivityTable:
    sites = tuple(s.name for s in bench.traced.graph.sites if s.name in bench.legality.options)
    options = tuple(dict.fromkeys(o for s in sites for o in bench.legality.options[s] if o != "fp"))
    loss = tuple(tuple(prices.damage.get((s, o)) for o in options) for s in sites)
    return SensitivityTable(sites, options, loss, "divergence from the untouched model, each option alone")


def _prediction(
    bench: Workbench, prices: Prices, outcome: SearchOutcome, answer: Answer
) -> PredictionCheck | None:
    """Return predicted against measured latency of the search's trials, none of which fitted the model."""
    designs = {(tuple(sorted(o.precisions.items())), o.float_type) for o in prices.observations}
    points, assignments = [], []
    for trial in outcome.trials:
        measured = trial.measurement
        precisions, float_type = assignment_of(trial.candidate, bench.space)
        held_out = (tuple(sorted(precisions.items())), float_type) not in designs
        if measured is None or "predicted_latency_ms" not in measured or not held_out:
            continue
        predicted = measured["predicted_latency_ms"].value
        points.append(PredictionPoint(predicted, measured["latency_ms"].value, True, trial.number))
        assignments.append((precisions, float_type))
    if len(points) < FEWEST_POINTS:
        return None
    actual = np.array([p.measured_ms for p in points])
    model = np.array([p.predicted_ms for p in points])
    plain = PlainSum.from_profiles(bench.traced.graph, prices.observations)
    layers = plain.predict([p for p, _ in assignments], [f for _, f in assignments])
    return PredictionCheck(
        tuple(points),
        mape(model, actual),
        kendall_tau(model, actual),
        mape(layers, actual),
        kendall_tau(layers, actual),
        _repeat_error(outcome, answer),
    )


def _repeat_error(outcome: SearchOutcome, answer: Answer) -> float | None:
    """Return how far two measurements of one candidate lie apart: in the search and when it was confirmed.

    Both are taken relative to the untouched model of their own sitting.
    """
    first = {t.candidate.digest: t.measurement for t in outcome.trials if t.measurement is not None}
    base = answer.trial0
    searched_base = first.get(base.candidate.digest)
    errors = []
    for member in (*answer.front, *answer.nearest):
        before = first.get(member.candidate.digest)
        if before is None or searched_base is None or member.id == base.id:
            continue
        ratio = before["latency_ms"].value / searched_base["latency_ms"].value
        again = member.measurement["latency_ms"].value / base.measurement["latency_ms"].value
        errors.append(abs(ratio - again) / again)
    return float(np.mean(errors)) if errors else None


def _served(
    rows: list[ReportTrial], outcome: SearchOutcome, answer: Answer
) -> dict[int, tuple[ServedSite, ...]]:
    """Return trial number of a front member -> the kernel of every site, where the runtime tells."""
    members = {m.candidate.digest: m for m in answer.front}
    found = {
        row.number: members[outcome.trials[row.number].candidate.digest].served
        for row in rows
        if row.on_front
    }
    return {number: served for number, served in found.items() if served}


def report_data(
    bench: Workbench,
    prices: Prices,
    outcome: SearchOutcome,
    answer: Answer,
    phases: tuple[tuple[str, float], ...],
    stamp: str,
) -> ReportData:
    """Return everything the report of one run shows."""
    rows = _trials(bench, outcome, answer)
    info, config = bench.target.info(), bench.config
    shapes = ", ".join("x".join(map(str, s)) for s in bench.model.input_shapes)
    objectives = tuple(dict.fromkeys([config.latency_metric, answer.primary]))
    return ReportData(
        title=bench.model.name,
        subtitle=(
            f"{info.name} on {info.device}, {info.threads} threads, batch {config.batch}, input {shapes}"
        ),
        objectives=objectives,
        trials=tuple(rows),
        budgets=tuple(BudgetLine(b.text, b.metric, b.limit, b.hard, b.at_least) for b in answer.budgets),
        choices={
            row.number: _choices(bench, prices, outcome.trials[row.number].candidate)
            for row in rows
            if row.on_front
        },
        served=_served(rows, outcome, answer),
        sensitivity=_sensitivity(bench, prices),
        prediction=_prediction(bench, prices, outcome, answer),
        hypervolume=outcome.hypervolumes,
        curves=answer.curves,
        phases=phases,
        struck=tuple(StruckOption(*row) for row in bench.legality.struck),
        environment=tuple(
            (key, str(value))
            for key, value in {"runtime": info.runtime, "device": info.device, **info.machine}.items()
        ),
        config=tuple((k, str(v)) for k, v in config.shown().items() if v not in (None, [])),
        notes=(f"data: {bench.data.name}", f"model: {bench.model.source}", *answer.notes),
        created=stamp,
        estimate="" if bench.roofline is None else bench.roofline.device.title,
    )


def write_run_report(
    bench: Workbench,
    prices: Prices,
    outcome: SearchOutcome,
    answer: Answer,
    phases: tuple[tuple[str, float], ...],
    stamp: str,
) -> Path:
    """Write ``report.html`` into the run folder and return its path."""
    body = report_data(bench, prices, outcome, answer, phases, stamp).to_json()
    (bench.folder / DATA_FILE).write_text(json.dumps(body))
    return write_page(body, bench.folder / REPORT_FILE)


def rewrite_report(folder: Path, out: Path | None) -> Path:
    """Write the report of a finished run again, from the data kept beside it, and return its path.

    Raises:
        LedgerError: the folder holds no finished run.
    """
    stored = folder / DATA_FILE
    try:
        body = json.loads(stored.read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise LedgerError(no_answer(folder)) from None
    except (OSError, json.JSONDecodeError) as error:
        raise LedgerError(f"{stored} is damaged ({error}); write it again: automl resume {folder}") from None
    return write_page(body, out if out is not None else folder / REPORT_FILE)
