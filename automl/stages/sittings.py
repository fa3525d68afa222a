"""Search and confirmation are two sittings of one machine, which may run at two speeds.

The untouched model is measured in both, so milliseconds of one become comparable with those of the other.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Mapping

    from automl.core.measurement import Measurement
    from automl.core.measurement import Metric
    from automl.core.trial import Trial

__all__ = ["at_speed", "drift_notes", "speed_change"]

#: Change of the untouched model's latency between search and confirmation that is worth a note.
DRIFT = 1.2

_MEASURED = ("latency_ms", "latency_p95_ms", "predicted_latency_ms")


def _of_trial0(trials: Iterable[Trial]) -> Metric | None:
    first = next((t.measurement for t in trials if t.number == 0), None)
    return None if first is None else first.get("latency_ms")


def speed_change(trials: Iterable[Trial], confirmed: Measurement) -> float:
    """Return the untouched model's latency in confirmation over that in the search; 1 when it was not timed.

    Args:
        trials: the search's.
        confirmed: the untouched model's measurement in confirmation.
    """
    before, after = _of_trial0(trials), confirmed.get("latency_ms")
    return 1.0 if before is None or after is None else after.value / before.value


def at_speed(metrics: Mapping[str, Metric], change: float) -> dict[str, Metric]:
    """Return a search's metrics with latencies in milliseconds of the confirmation."""
    return {
        name: replace(m, value=m.value * change, low=m.low * change, high=m.high * change)
        if name in _MEASURED
        else m
        for name, m in metrics.items()
    }


def drift_notes(trials: Iterable[Trial], confirmed: Measurement) -> list[str]:
    """Return the sentence for a machine that ran at another speed in confirmation than in the search."""
    before, after = _of_trial0(trials), confirmed.get("latency_ms")
    if before is None or after is None or 1 / DRIFT <= after.value / before.value <= DRIFT:
        return []
    return [
        f"the untouched model took {before.value:.3g} ms in the search and {after.value:.3g} ms in "
        "confirmation: compare milliseconds within one of them only; ratios to it hold, and the report draws "
        "the search at the speed of the confirmation; a quiet machine gives both alike"
    ]
