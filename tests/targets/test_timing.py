"""Order statistics of run times."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from automl.core.errors import EvaluationError
from automl.targets.timing import drift_ratio
from automl.targets.timing import median_interval
from automl.targets.timing import summarize
from automl.targets.timing import timing_facts


def test_interval_of_twenty_samples_is_the_sixth_and_the_fifteenth() -> None:
    samples = np.random.default_rng(0).permutation(np.arange(1, 21))
    assert median_interval(samples.tolist()) == (6.0, 15.0)


def test_interval_of_few_samples_is_their_range() -> None:
    assert median_interval([3.0, 1.0, 2.0]) == (1.0, 3.0)


def test_interval_covers_the_true_median_at_least_at_its_level() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(1000):
        low, high = median_interval(rng.exponential(size=25).tolist())
        hits += low <= np.log(2) <= high
    assert 940 <= hits < 1000


def test_summary_is_robust_to_one_slow_run() -> None:
    timing = summarize([1.0] * 19 + [100.0])
    assert timing.median_ms == timing.low_ms == timing.high_ms == 1.0
    assert timing.repeats == 20
    assert timing.p95_ms > 1.0


@pytest.mark.parametrize("samples", [[], [1.0, 0.0]])
def test_unusable_samples_are_refused(samples: list[float]) -> None:
    with pytest.raises(EvaluationError):
        summarize(samples)


def test_drift_compares_the_ends() -> None:
    assert drift_ratio([1.0, 1.0, 5.0, 2.0, 2.0, 2.0]) == 2.0
    with pytest.raises(EvaluationError):
        drift_ratio([1.0, 2.0])


def test_how_a_device_was_timed_is_a_fact_and_the_hosts_clock_is_none() -> None:
    timing = summarize([1.0, 2.0])
    assert timing_facts(timing) == {}
    assert timing_facts(replace(timing, how="a graph")) == {"latency_timed": "a graph"}
