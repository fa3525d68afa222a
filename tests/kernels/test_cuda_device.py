"""The thin side of timing on CUDA, against a stand-in of ``torch.cuda`` that keeps its rules of streams."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch

from automl.kernels import cuda_device
from automl.kernels.cuda_device import CudaDevice
from automl.kernels.cuda_device import device_facts
from automl.kernels.device_timing import CaptureError
from automl.kernels.device_timing import Program
from automl.kernels.device_timing import time_programs


class Stream:
    def __init__(self, cuda, name="side"):
        self.cuda, self.name = cuda, name

    def wait_stream(self, other):
        self.cuda.log.append(f"{self.name} waits for {other.name}")


class Cuda:
    """``torch.cuda`` on paper; as there, ending a broken capture fails and leaves its stream current."""

    def __init__(self):
        self.log, self.pools, self.now = [], 0, 0.0
        self.default = Stream(self, "default")
        self.current = self.default
        self.capturing = None
        outer = self

        class Event:
            def __init__(self, enable_timing=False):
                assert enable_timing

            def record(self):
                self.at = outer.now
                outer.log.append(f"event on {outer.current.name}")

            def elapsed_time(self, other):
                return other.at - self.at

        class CUDAGraph:
            def replay(self):
                outer.log.append(f"replay on {outer.current.name}")
                outer.now += 0.5

        self.Event, self.CUDAGraph = Event, CUDAGraph
        self.Stream = lambda: Stream(self)

    def graph_pool_handle(self):
        self.pools += 1
        return (0, self.pools)

    def current_stream(self):
        return self.current

    def current_device(self):
        return 0

    def get_device_name(self):
        return "NVIDIA Paper"

    def get_device_properties(self, device):
        return SimpleNamespace(L2_cache_size=3 << 20, total_memory=80 << 30)

    def synchronize(self):
        if self.capturing is not None:
            self.capturing = "broken"
            raise RuntimeError("operation not permitted when stream is capturing\nCompile with ...")
        self.log.append("synchronize")

    @contextmanager
    def stream(self, stream):
        before, self.current = self.current, stream
        try:
            yield
        finally:
            self.current = before

    @contextmanager
    def graph(self, graph, pool, stream):
        self.log.append(f"capture in pool {pool[1]} on {stream.name}")
        before, self.current, self.capturing = self.current, stream, "whole"
        try:
            yield
        finally:
            state, self.capturing = self.capturing, None
            if state == "broken":
                raise RuntimeError("operation failed due to a previous error during capture")
            self.current = before


@pytest.fixture
def cuda(monkeypatch):
    made = Cuda()
    for name in ("Stream", "Event", "CUDAGraph", "graph", "stream", "graph_pool_handle", "synchronize"):
        monkeypatch.setattr(torch.cuda, name, getattr(made, name))
    for name in ("current_stream", "current_device", "get_device_name", "get_device_properties"):
        monkeypatch.setattr(torch.cuda, name, getattr(made, name))
    return made


def test_runs_are_warmed_up_and_captured_on_a_side_stream_and_replayed_on_the_current_one(cuda):
    device = CudaDevice("cpu")

    def run():
        cuda.log.append(f"run on {cuda.current.name}")

    device.warm_up(run, 2)
    device.capture(run)()
    assert cuda.log == [
        "side waits for default",
        "run on side",
        "run on side",
        "synchronize",
        "capture in pool 1 on side",
        "run on side",
        "replay on default",
    ]


def test_a_run_that_waits_is_refused_with_its_first_error_and_the_stream_is_ours_again(cuda):
    device = CudaDevice("cpu")
    with pytest.raises(CaptureError, match=r"captured: operation not permitted when stream is capturing$"):
        device.capture(cuda.synchronize)
    assert cuda.current is cuda.default
    # The next capture has memory of its own.
    device.capture(lambda: None)
    assert cuda.log[-1] == "capture in pool 2 on side"


def test_an_error_of_ours_is_not_taken_for_a_capture_that_failed(cuda):
    def broken():
        raise ValueError("a wrong shape")

    with pytest.raises(ValueError, match="a wrong shape"):
        CudaDevice("cpu").capture(broken)


def test_a_flush_overwrites_the_whole_buffer(cuda):
    device = CudaDevice("cpu")
    device.flush()
    device.reserve(1000)
    device._buffer.fill_(1)
    device.flush()
    assert int(device._buffer.count_nonzero()) == 0
    held = device._buffer
    device.reserve(10)
    assert device._buffer is held


def test_the_device_serves_the_plan_of_timing(cuda, monkeypatch):
    monkeypatch.setattr("automl.kernels.device_timing.LEAST_FLUSH", 1 << 20)
    (timed,) = time_programs([Program((lambda: None, lambda: None))], CudaDevice("cpu"), repeats=4)
    assert timed.samples_ms == (0.5,) * 4
    assert (timed.launch, timed.flushed) == ("graph", 6 << 20)


def test_a_device_is_identified_by_name_driver_and_sizes(cuda, monkeypatch, tmp_path):
    file = tmp_path / "version"
    file.write_text("NVRM version: 1.2\nGCC version: 3\n")
    monkeypatch.setattr(cuda_device, "_DRIVERS", (tmp_path / "absent", file))
    facts = device_facts()
    assert (facts["device"], facts["driver"]) == ("NVIDIA Paper", "NVRM version: 1.2")
    assert (facts["memory_bytes"], facts["cache_bytes"]) == (80 << 30, 3 << 20)
    monkeypatch.setattr(cuda_device, "_DRIVERS", ())
    assert device_facts()["driver"] == "unknown"
