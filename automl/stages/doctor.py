"""Doctor: what this machine can serve, and why not the rest."""

from __future__ import annotations

from dataclasses import dataclass

from automl.models.zoo import ZOO
from automl.strategies.table import list_strategies
from automl.targets.table import doctor as try_targets

__all__ = ["Finding", "diagnose"]


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report: a target, model or strategy, and whether it can be used here."""

    what: str
    name: str
    usable: bool
    detail: str


def diagnose() -> list[Finding]:
    """Return which targets, models and strategies are usable on this machine, and why the others are not."""
    findings = [
        Finding(
            "target",
            r.name,
            r.available,
            "; ".join(p for p in (r.reason, r.device, ", ".join(r.float_types)) if p),
        )
        for r in try_targets()
    ]
    for name, entry in ZOO.items():
        missing = entry.missing()
        detail = entry.summary if missing is None else missing
        findings.append(Finding("model", name, missing is None, detail))
    findings += [Finding("strategy", name, True, summary) for name, summary in list_strategies().items()]
    return findings
