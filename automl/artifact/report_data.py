"""What a report shows: plain values, built by the composition root from ledger and answer of a run."""

from __future__ import annotations

from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING
from typing import Any

from automl.artifact.figures import axis_scale
from automl.artifact.figures import format_metric
from automl.artifact.figures import metric_label
from automl.core.errors import ConfigError
from automl.core.measurement import Metric
from automl.core.measurement import is_maximized

if TYPE_CHECKING:
    from collections.abc import Mapping

    from automl.core.curve import LearningCurve
    from automl.core.served import ServedSite

__all__ = [
    "BudgetLine",
    "PredictionCheck",
    "PredictionPoint",
    "ReportData",
    "ReportTrial",
    "SensitivityTable",
    "SiteChoice",
    "StruckOption",
]


@dataclass(frozen=True)
class BudgetLine:
    """One budget as a line in the front.

    Args:
        text: what the user wrote.
        metric: the limited metric, in its stored unit.
        limit: the absolute limit.
        hard: whether breaking it excludes a candidate.
        at_least: whether the metric must not be smaller.
    """

    text: str
    metric: str
    limit: float
    hard: bool = True
    at_least: bool = False

    def holds(self, value: float) -> bool:
        """Return whether ``value`` of the metric is within the limit."""
        return value >= self.limit if self.at_least else value <= self.limit


@dataclass(frozen=True)
class ReportTrial:
    """One row of the ledger.

    Args:
        number: trial number; 0 is the untouched model.
        digest: of the candidate.
        label: a short description, for example ``w8a8 x 40, fp x 9``.
        origin: what proposed it.
        fidelity: ``subset``, ``full`` or ``confirmed``.
        metrics: measured metrics; empty when it failed.
        predicted: metric -> what the models predicted before it was measured.
        budgets: budget text -> whether it holds; worked out from the measured metrics when empty.
        on_front: whether it is on the measured front.
        pick: whether it is the answer.
        failure: the reason when it failed.
        seconds: wall time of the evaluation.
    """

    number: int
    digest: str
    label: str = ""
    origin: str = ""
    fidelity: str = ""
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    predicted: Mapping[str, float] = field(default_factory=dict)
    budgets: Mapping[str, bool] = field(default_factory=dict)
    on_front: bool = False
    pick: bool = False
    failure: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class SiteChoice:
    """What a front member chose at one site, and the nearest alternative.

    Args:
        site: name of the site.
        option: the chosen option.
        runner_up: the option that would cost least to switch to, empty when there is no other.
        latency_change_ms: predicted change of latency if the runner-up were taken, None when unknown.
        quality_change: predicted change of the quality loss (minimized) if it were taken, None when unknown.
        macs: multiply-accumulates of the site.
        size_bytes: stored bytes of its weight under the chosen option.
    """

    site: str
    option: str
    runner_up: str = ""
    latency_change_ms: float | None = None
    quality_change: float | None = None
    macs: int = 0
    size_bytes: int = 0


@dataclass(frozen=True)
class SensitivityTable:
    """Loss of quality of each option alone.

    Args:
        sites: row names, in execution order.
        options: column names, most faithful first.
        loss: loss[site][option], None where the option is not legal.
        metric: what the loss is, for example ``KL divergence to the original``.
    """

    sites: tuple[str, ...]
    options: tuple[str, ...]
    loss: tuple[tuple[float | None, ...], ...]
    metric: str


@dataclass(frozen=True)
class PredictionPoint:
    """One candidate whose latency was predicted and measured; ``held_out`` when it never fitted the model."""

    predicted_ms: float
    measured_ms: float
    held_out: bool = True
    trial: int | None = None


@dataclass(frozen=True)
class PredictionCheck:
    """Held-out error of the latency model beside the plain sum and the repeat error of the timing.

    ``mape`` and ``repeat_error`` are fractions; ``tau`` is Kendall's. None when it was not computed.
    """

    points: tuple[PredictionPoint, ...]
    mape: float | None = None
    tau: float | None = None
    sum_mape: float | None = None
    sum_tau: float | None = None
    repeat_error: float | None = None


@dataclass(frozen=True)
class StruckOption:
    """An option the target could not run at a site, with the reason."""

    site: str
    option: str
    reason: str


@dataclass(frozen=True)
class ReportData:
    """Everything the report of one run shows.

    Args:
        title: the model's name as the user gave it; any text.
        subtitle: target, device, threads and shape in one line.
        objectives: metric names of the axes, the first is drawn horizontally at first.
        trials: in ledger order; trial 0 is the untouched model.
        budgets: resolved budgets.
        choices: trial number of a front member -> its choice at every site, in execution order.
        served: trial number of a front member -> the kernel of every site, empty where the runtime does not
            tell.
        sensitivity: the option-alone table, or None.
        prediction: check of the latency model, or None.
        hypervolume: (true evaluations so far, hypervolume of the front so far).
        curves: how what the strategy learns moved.
        phases: (name, seconds), in order.
        struck: options the target refused.
        environment: (name, value) pairs.
        config: (name, value) pairs.
        notes: sentences: kernel choices, fallbacks, what to read with care.
        created: ISO 8601 time from the run's clock.
        estimate: the device that latency was estimated for, empty when it was measured.

    Raises:
        ConfigError: trial numbers repeat, trial 0 is missing, or choices name no trial on the front.
    """

    title: str
    subtitle: str
    objectives: tuple[str, ...]
    trials: tuple[ReportTrial, ...]
    budgets: tuple[BudgetLine, ...] = ()
    choices: Mapping[int, tuple[SiteChoice, ...]] = field(default_factory=dict)
    served: Mapping[int, tuple[ServedSite, ...]] = field(default_factory=dict)
    sensitivity: SensitivityTable | None = None
    prediction: PredictionCheck | None = None
    hypervolume: tuple[tuple[int, float], ...] = ()
    curves: tuple[LearningCurve, ...] = ()
    phases: tuple[tuple[str, float], ...] = ()
    struck: tuple[StruckOption, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    config: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    created: str = ""
    estimate: str = ""

    def __post_init__(self) -> None:
        numbers = [t.number for t in self.trials]
        if len(set(numbers)) != len(numbers) or 0 not in numbers:
            raise ConfigError(
                f"a report needs distinct trial numbers with trial 0 among them; got {numbers[:20]}"
            )
        if len(self.objectives) < 2:
            raise ConfigError(f"a report needs two objectives to draw a front; got {self.objectives}")
        front = {t.number for t in self.trials if t.on_front}
        if not set(self.choices) <= front:
            raise ConfigError(
                f"choices of trials {sorted(set(self.choices) - front)} that are not on the front"
            )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON for the page: values, and every measured figure also as text."""
        body = asdict(self)
        names = dict.fromkeys([*self.objectives, *(name for t in self.trials for name in t.metrics)])
        body["metrics"] = {
            name: {
                "label": metric_label(name),
                "maximize": is_maximized(name),
                "factor": axis_scale(name)[0],
                "unit": axis_scale(name)[1],
            }
            for name in names
        }
        for row, trial in zip(body["trials"], self.trials, strict=True):
            row["budgets"] = dict(trial.budgets) or {
                b.text: b.holds(trial.metrics[b.metric].value)
                for b in self.budgets
                if trial.number > 0 and b.metric in trial.metrics
            }
            for name, metric in trial.metrics.items():
                row["metrics"][name]["text"] = format_metric(name, metric.value)
                row["metrics"][name]["low_text"] = format_metric(name, metric.low)
                row["metrics"][name]["high_text"] = format_metric(name, metric.high)
        for row, budget in zip(body["budgets"], self.budgets, strict=True):
            row["limit_text"] = format_metric(budget.metric, budget.limit)
        for name in ("choices", "served"):
            body[name] = {str(k): v for k, v in body[name].items()}
        return body
