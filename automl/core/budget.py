"""Budgets and their grammar.

A budget is ``[soft:]METRIC OP LIMIT[UNIT]`` with OP ``=`` or ``<=`` (at most) or ``>=`` (at least):

* ``latency=5ms``, ``latency=900us``, ``size=4MB``, ``size=3.5MiB``, ``memory=1GiB``, ``macs=300M``,
  ``bops=12G``, ``bits=4.0`` (storage bits averaged over every weight, scales included);
* relative to trial 0, the untouched model: ``latency=0.6x`` or ``latency=60%``;
* ``drop=1%``: at most 1 point of quality lost against trial 0; ``accuracy>=0.7``, ``agreement>=99%``.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from dataclasses import replace
from typing import TYPE_CHECKING

from automl.core.errors import BudgetError
from automl.core.errors import did_you_mean
from automl.core.errors import unknown_name

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Sequence

    from automl.core.measurement import Measurement

__all__ = ["Budget", "check_budgets", "parse_budget", "parse_budgets", "total_violation"]

_METRICS = {
    "latency": "latency_ms",
    "size": "size_bytes",
    "memory": "memory_bytes",
    "macs": "macs",
    "bops": "bops",
    "bits": "weight_bits",
    "drop": "drop",
    "accuracy": "accuracy",
    "agreement": "agreement",
    "kl": "kl",
    "perplexity": "perplexity",
    "cosine": "cosine",
    "psnr": "psnr_db",
}
_EXAMPLES = {
    "latency": "latency=5ms",
    "size": "size=4MB",
    "memory": "memory=1GiB",
    "macs": "macs=300M",
    "bops": "bops=12G",
    "bits": "bits=4",
    "drop": "drop=1%",
    "accuracy": "accuracy>=0.7",
    "agreement": "agreement>=99%",
    "kl": "kl=0.01",
    "perplexity": "perplexity=1.05x",
    "cosine": "cosine>=0.99",
    "psnr": "psnr>=30dB",
}
_BYTES = {"B": 1.0, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
_COUNTS = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_UNITS: dict[str, dict[str, float]] = {
    "latency": {"ms": 1.0, "us": 1e-3, "s": 1e3},
    "size": _BYTES,
    "memory": _BYTES,
    "macs": _COUNTS,
    "bops": _COUNTS,
    "bits": {"": 1.0, "bit": 1.0, "bits": 1.0},
    "drop": {"": 1.0, "%": 0.01},
    "accuracy": {"": 1.0, "%": 0.01},
    "agreement": {"": 1.0, "%": 0.01},
    "kl": {"": 1.0},
    "perplexity": {"": 1.0},
    "cosine": {"": 1.0},
    "psnr": {"dB": 1.0, "": 1.0},
}
_RELATIVE = frozenset({"latency", "size", "memory", "macs", "bops", "perplexity"})
_FRACTIONS = frozenset({"drop", "accuracy", "agreement", "cosine"})
#: A sum or mean of many floats may exceed a limit that it equals on paper.
_ROUNDING = 1e-9
_PATTERN = re.compile(r"(soft:)?\s*([A-Za-z_]+)\s*(<=|>=|=)\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*([A-Za-z%]*)")


@dataclass(frozen=True)
class Budget:
    """One limit.

    Args:
        text: what the user wrote; names the budget in tables and JSON.
        metric: the measured metric it limits.
        limit: the limit in the metric's unit, or as a multiple of trial 0 when ``relative``.
        relative: whether ``limit`` still has to be resolved against trial 0.
        at_least: whether the metric must not be smaller (quality) instead of not larger.
        hard: whether breaking it excludes a candidate from the answer.
        context: what the limit refers to (target, batch, threads, shape), filled in by the run.
    """

    text: str
    metric: str
    limit: float
    relative: bool = False
    at_least: bool = False
    hard: bool = True
    context: str = ""

    def resolve(self, reference: Measurement) -> Budget:
        """Return the budget with an absolute limit, relative ones against trial 0's ``reference``.

        Raises:
            BudgetError: trial 0 lacks the metric.
        """
        if not self.relative:
            return self
        if self.metric not in reference:
            raise BudgetError(f"budget {self.text}: '{self.metric}' was not measured for the untouched model")
        return replace(self, limit=self.limit * reference[self.metric].value, relative=False)

    def violation(self, measurement: Measurement) -> float:
        """Return by which fraction of the limit the measurement misses it; 0 when met, up to rounding.

        Raises:
            BudgetError: the budget is not resolved or the metric was not measured.
        """
        if self.relative:
            raise BudgetError(f"budget {self.text} is relative; resolve it against the untouched model first")
        if self.metric not in measurement:
            raise BudgetError(
                f"budget {self.text}: '{self.metric}' was not measured; measured: {', '.join(measurement)}"
            )
        value = measurement[self.metric].value
        over = self.limit - value if self.at_least else value - self.limit
        missed = over / (abs(self.limit) or 1.0)
        return missed if missed > _ROUNDING else 0.0

    def holds(self, measurement: Measurement) -> bool:
        """Return whether the measurement meets the limit."""
        return self.violation(measurement) == 0.0


def parse_budget(text: str) -> Budget:
    """Return the budget that ``text`` states.

    Raises:
        BudgetError: unknown metric or unit, a limit that is not positive, or text outside the grammar.
    """
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        raise BudgetError(
            f"cannot read the budget '{text}': write METRIC=LIMIT, for example latency=5ms, latency=0.6x, "
            "size=4MB, drop=1% or accuracy>=0.7"
        )
    soft, name, operator, number, unit = match.groups()
    if name not in _METRICS:
        raise BudgetError(f"budget '{text}': {unknown_name('metric', name, _METRICS)}")
    try:
        limit = float(number)
    except ValueError as error:
        raise BudgetError(
            f"budget '{text}': '{number}' is not a number; give a value such as 5ms or 0.6x"
        ) from error
    relative = name in _RELATIVE and unit in {"x", "%"}
    if relative:
        limit *= 0.01 if unit == "%" else 1.0
    else:
        units = _UNITS[name]
        if unit not in units:
            allowed = [u for u in units if u] + (["x", "%"] if name in _RELATIVE else [])
            given = f"unit '{unit}' is unknown" if unit else "the unit is missing"
            near = did_you_mean(unit, allowed) if unit else ""
            raise BudgetError(f"budget '{text}': {given}{near or ';'} use one of {', '.join(allowed)}")
        limit *= units[unit]
    if not (limit > 0 or (limit == 0 and name == "drop")) or not math.isfinite(limit):
        raise BudgetError(
            f"budget '{text}': the limit must be {'at least' if name == 'drop' else 'greater than'} zero and "
            f"finite; give a value such as {_EXAMPLES[name]}"
        )
    at_least = operator == ">="
    higher_is_better = name in {"accuracy", "agreement", "cosine", "psnr"}
    if operator == "=":
        at_least = higher_is_better
    if at_least != higher_is_better:
        sign = ">=" if higher_is_better else "<="
        raise BudgetError(
            f"budget '{text}': {name} can only be limited with {sign}; write {name}{sign}{number}{unit}"
        )
    if name in _FRACTIONS and limit > 1:
        raise BudgetError(
            f"budget '{text}': {name} is a fraction between 0 and 1; write for example {_EXAMPLES[name]}"
        )
    return Budget(text.strip(), _METRICS[name], limit, relative, at_least, hard=soft is None)


def check_budgets(budgets: Sequence[Budget]) -> None:
    """Raise BudgetError when two hard or two soft budgets limit one metric: they contradict or repeat."""
    seen: dict[tuple[str, bool], Budget] = {}
    for budget in budgets:
        key = (budget.metric, budget.hard)
        if key in seen:
            raise BudgetError(
                f"budgets '{seen[key].text}' and '{budget.text}' both limit {budget.metric}; "
                "keep the one that is meant"
            )
        seen[key] = budget


def parse_budgets(texts: Iterable[str]) -> tuple[Budget, ...]:
    """Return the budgets that ``texts`` state, checked against each other.

    Raises:
        BudgetError: as :func:`parse_budget` and :func:`check_budgets`.
    """
    budgets = tuple(parse_budget(part) for text in texts for part in text.split(",") if part.strip())
    check_budgets(budgets)
    return budgets


def total_violation(budgets: Iterable[Budget], measurement: Measurement) -> float:
    """Return the summed violation of the hard budgets; 0 when all are met."""
    return sum(b.violation(measurement) for b in budgets if b.hard)
