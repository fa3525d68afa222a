"""What is launched, on which inputs and in which order; the device is a stand-in that writes it all down."""

from __future__ import annotations

import itertools

import pytest

from automl.core.errors import KernelError
from automl.kernels.device_timing import LEAST_FLUSH
from automl.kernels.device_timing import MOST_SETS
from automl.kernels.device_timing import CaptureError
from automl.kernels.device_timing import Program
from automl.kernels.device_timing import describe
from automl.kernels.device_timing import flush_bytes
from automl.kernels.device_timing import input_sets
from automl.kernels.device_timing import schedule
from automl.kernels.device_timing import time_programs


class Recorder:
    """A device with a queue on paper: a run takes the milliseconds that its name says."""

    def __init__(self, cache_bytes=50 << 20, broken=()):
        self.cache_bytes, self.broken = cache_bytes, set(broken)
        self.log, self.clock, self.capturing = [], 0.0, False

    def program(self, name, sets=1, ms=1.0, obstacle=""):
        def bind(which):
            def run():
                self.log.append(f"run {name}{which}")
                self.clock += ms

            run.title = f"{name}{which}"
            return run

        return Program(tuple(bind(i) for i in range(sets)), obstacle)

    def reserve(self, size):
        self.log.append(f"reserve {size}")

    def warm_up(self, run, times):
        self.log.append(f"warm {run.title} x{times}")

    def capture(self, run):
        if run.title in self.broken:
            raise CaptureError("its launches cannot be captured: it waits for the device")
        self.log.append(f"capture {run.title}")

        def replay():
            self.log.append(f"replay {run.title}")
            self.clock += 0.25

        return replay

    def flush(self):
        self.log.append("flush")
        self.clock += 7.0

    def mark(self):
        self.log.append("mark")
        return self.clock

    def synchronize(self):
        self.log.append("wait")

    def elapsed_ms(self, start, end):
        return end - start


def test_a_captured_program_is_flushed_for_marked_replayed_marked_and_waited_for():
    device = Recorder()
    (timed,) = time_programs([device.program("a", sets=2)], device, repeats=3)
    assert device.log[:7] == [
        f"reserve {LEAST_FLUSH}",
        "warm a0 x3",
        "warm a1 x3",
        "capture a0",
        "capture a1",
        "replay a0",
        "replay a1",
    ]
    runs = [["flush", "mark", f"replay a{which}", "mark", "wait"] for which in (0, 1, 0)]
    assert device.log[7:] == ["wait", *itertools.chain(*runs)]
    assert (timed.launch, timed.reason, timed.sets) == ("graph", "", 2)
    # The flush lies before the first event, so it is in no time.
    assert timed.samples_ms == (0.25, 0.25, 0.25)


def test_a_program_that_cannot_be_captured_is_launched_on_an_idle_device_and_says_why():
    device = Recorder(broken={"a1"})
    (timed,) = time_programs([device.program("a", sets=2, ms=2.0)], device, repeats=2)
    assert (timed.launch, timed.reason) == (
        "eager",
        "its launches cannot be captured: it waits for the device",
    )
    # No replay of the half that could be captured: all runs of a program are launched alike.
    assert not [entry for entry in device.log if entry.startswith("replay")]
    start = device.log.index("flush")
    assert device.log[start : start + 6] == ["flush", "wait", "mark", "run a0", "mark", "wait"]
    assert timed.samples_ms == (2.0, 2.0)


def test_a_known_obstacle_is_the_reason_and_nothing_is_captured():
    device = Recorder()
    (timed,) = time_programs([device.program("a", obstacle="'nonzero' waits")], device, repeats=1)
    assert (timed.launch, timed.reason) == ("eager", "'nonzero' waits")
    assert not [entry for entry in device.log if entry.startswith("capture")]


def test_one_program_that_cannot_be_captured_leaves_the_others_their_graphs():
    device = Recorder(broken={"b0"})
    programs = [device.program("a"), device.program("b", ms=3.0), device.program("c")]
    timed = time_programs(programs, device, repeats=2)
    assert [t.launch for t in timed] == ["graph", "eager", "graph"]
    assert [t.samples_ms for t in timed] == [(0.25, 0.25), (3.0, 3.0), (0.25, 0.25)]


def test_programs_have_their_turns_in_every_round_forwards_and_backwards_on_sets_that_go_round():
    turns = list(schedule([2, 1, 3], 4))
    rounds = [turns[i : i + 3] for i in range(0, 12, 3)]
    assert [[p for p, _ in r] for r in rounds] == [[0, 1, 2], [2, 1, 0], [0, 1, 2], [2, 1, 0]]
    assert [s for p, s in turns if p == 0] == [0, 1, 0, 1]
    assert [s for p, s in turns if p == 1] == [0, 0, 0, 0]
    assert [s for p, s in turns if p == 2] == [0, 1, 2, 0]


def test_a_flush_writes_at_least_twice_the_cache():
    for cache in (0, 4 << 20, 50 << 20, 256 << 20, 400 << 20):
        assert flush_bytes(cache) >= max(2 * cache, LEAST_FLUSH)
    assert flush_bytes(400 << 20) == 800 << 20


def test_sets_of_inputs_cover_the_cache_twice_within_bounds():
    assert input_sets(50 << 20, 25 << 20) == 4
    assert input_sets(50 << 20, 30 << 20) == 4
    assert input_sets(50 << 20, 1 << 30) == 2
    assert input_sets(50 << 20, 4096) == MOST_SETS
    assert input_sets(50 << 20, 0) == MOST_SETS


def test_there_is_something_to_repeat_and_to_run():
    device = Recorder()
    for repeats, warmup in ((0, 3), (3, 0)):
        with pytest.raises(KernelError, match="at least one each"):
            time_programs([device.program("a")], device, repeats=repeats, warmup=warmup)
    with pytest.raises(KernelError, match="without a run"):
        Program(())


def test_the_sentence_names_launch_reason_flush_and_sets():
    device = Recorder(cache_bytes=300 << 20, broken={"b0"})
    graph, eager = time_programs([device.program("a", sets=3), device.program("b")], device, repeats=1)
    assert describe(graph) == (
        "replays of a captured graph, between two events of the device, 600 MiB written over its caches "
        "before every run, 3 sets of inputs in turn"
    )
    assert describe(eager).startswith(
        "eager launches (its launches cannot be captured: it waits for the device)"
    )
