from __future__ import annotations

import time

import pytest

from automl.targets import host_timing
from automl.targets.host_timing import HostClock
from automl.targets.host_timing import time_on_host


class Clock:
    """Nanoseconds that only calls spend."""

    def __init__(self):
        self.now, self.log = 0, []

    def model(self, name, ms):
        def bind(inputs):
            def run():
                self.log.append(name)
                self.now += int(ms * 1e6)

            return run

        made = type("Model", (), {})()
        made.bind = bind
        return made


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(host_timing.time, "perf_counter_ns", lambda: made.now)
    return made


def test_models_take_turns_in_bursts_forwards_and_backwards(clock):
    models = [clock.model("a", 2.0), clock.model("b", 3.0)]
    found = time_on_host(models, [], repeats=6, warmup=1)
    assert found.samples == [[2.0] * 6, [3.0] * 6]
    assert found.order == [0] * 4 + [1] * 4 + [1] * 2 + [0] * 2
    assert found.how == []
    # A burst of four after an untimed run; the second burst has the two that are left.
    assert "".join(clock.log) == "ab" + "a" * 5 + "b" * 5 + "b" * 3 + "a" * 3


def test_marks_are_read_as_milliseconds(clock):
    host = HostClock()
    start = host.mark()
    clock.now += 1_500_000
    host.synchronize()
    assert host.elapsed_ms(start, host.mark()) == 1.5


def test_the_clock_of_the_host_runs():
    host = HostClock()
    start = host.mark()
    time.sleep(0.001)
    assert host.elapsed_ms(start, host.mark()) >= 1.0
