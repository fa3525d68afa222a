"""What was measured of a candidate: named metrics with unit, interval and sample count."""

from __future__ import annotations

import math
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from automl.core.errors import EvaluationError

__all__ = ["METRIC_UNITS", "Measurement", "Metric", "is_maximized"]

#: Units of the metrics the engine knows; a metric is always stored in this unit.
METRIC_UNITS: dict[str, str] = {
    "latency_ms": "ms",
    "latency_p95_ms": "ms",
    "predicted_latency_ms": "ms",
    "estimated_latency_ms": "ms",
    "size_bytes": "B",
    "artifact_bytes": "B",
    "memory_bytes": "B",
    "memory_peak_bytes": "B",
    "macs": "MAC",
    "bops": "BOP",
    "weight_bits": "bit",
    "accuracy": "",
    "agreement": "",
    "kl": "nat",
    "perplexity": "",
    "cosine": "",
    "psnr_db": "dB",
    "drop": "",
}

_MAXIMIZED = frozenset({"accuracy", "agreement", "psnr_db", "cosine"})


def is_maximized(metric: str) -> bool:
    """Return whether larger values of ``metric`` are better."""
    return metric in _MAXIMIZED


@dataclass(frozen=True)
class Metric:
    """One measured number.

    Args:
        value: the estimate, in ``unit``; finite.
        unit: see :data:`METRIC_UNITS`.
        low: lower end of the 95 % interval; equals ``value`` when exact.
        high: upper end of the 95 % interval.
        n: number of samples or repeats behind it; 1 for exact counts.

    Raises:
        EvaluationError: a number is not finite or the interval does not contain the value.
    """

    value: float
    unit: str = ""
    low: float = math.nan
    high: float = math.nan
    n: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", float(self.value))
        object.__setattr__(self, "low", float(self.value if math.isnan(self.low) else self.low))
        object.__setattr__(self, "high", float(self.value if math.isnan(self.high) else self.high))
        if not all(map(math.isfinite, (self.value, self.low, self.high))):
            raise EvaluationError(
                f"a metric must be finite; got value={self.value}, interval [{self.low}, {self.high}]"
            )
        if not self.low <= self.value <= self.high:
            raise EvaluationError(
                f"interval [{self.low}, {self.high}] does not contain the value {self.value}"
            )


@dataclass(frozen=True)
class Measurement(Mapping[str, Metric]):
    """Metrics of one candidate by name, plus facts (plain JSON) about how they were obtained.

    Facts never take part in decisions; they feed the ledger and the report (runtime, machine, kernels).
    """

    metrics: Mapping[str, Metric]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Metric:
        return self.metrics[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.metrics)

    def __len__(self) -> int:
        return len(self.metrics)

    def __hash__(self) -> int:
        return hash(tuple(sorted((k, v.value) for k, v in self.metrics.items())))

    def merged(self, other: Measurement) -> Measurement:
        """Return a measurement with the metrics and facts of both; ``other`` wins."""
        return Measurement({**self.metrics, **other.metrics}, {**self.facts, **other.facts})

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; inverse of :meth:`from_json`."""
        return {"metrics": {k: asdict(v) for k, v in self.metrics.items()}, "facts": dict(self.facts)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Measurement:
        """Return the measurement written by :meth:`to_json`."""
        return cls({k: Metric(**v) for k, v in data["metrics"].items()}, dict(data.get("facts", {})))
