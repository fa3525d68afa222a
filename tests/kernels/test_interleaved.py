from __future__ import annotations

import pytest

from automl.kernels.interleaved import interleave
from automl.kernels.interleaved import spread_of


class _Clock:
    """Seconds that pass only when a call says so."""

    def __init__(self):
        self.now, self.order = 0.0, []

    def __call__(self):
        return self.now

    def spends(self, name, milliseconds):
        def call():
            self.now += milliseconds / 1e3
            self.order.append(name)

        return call


def test_calls_take_turns_and_short_ones_repeat():
    clock = _Clock()
    found = interleave(
        {"a": clock.spends("a", 1.0), "b": clock.spends("b", 4.0)}, clock, rounds=5, round_ms=2.0
    )
    assert found["a"].median_ms == pytest.approx(1.0)
    assert found["b"].median_ms == pytest.approx(4.0)
    assert found["a"].rounds == 5
    # Two calls each to learn the duration; then one to warm and two, respectively one, that count.
    assert "".join(clock.order[4:]) == "aaabbbbaaa" * 2 + "aaabb"


def test_the_median_ignores_a_disturbance():
    clock = _Clock()
    durations = iter([1.0] * 6 + [50.0] + [1.0] * 40)

    def call():
        clock.now += next(durations) / 1e3

    found = interleave({"a": call}, clock, rounds=9, round_ms=1.0)["a"]
    assert found.median_ms == pytest.approx(1.0)
    assert found.low_ms == pytest.approx(1.0)


def test_a_spread_is_the_median_between_the_quartiles():
    found = spread_of([float(t) for t in (9, 1, 2, 3, 4, 5, 6, 7, 8)])
    assert (found.low_ms, found.median_ms, found.high_ms, found.rounds) == (3.0, 5.0, 7.0, 9)
