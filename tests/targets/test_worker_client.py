"""The client: start-up failures, time-outs and deaths become sentences."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from automl.core.errors import EvaluationError
from automl.core.errors import TargetError
from automl.targets.worker_client import WorkerClient


def test_an_unknown_runtime_cannot_be_started() -> None:
    client = WorkerClient("openvin", 1)
    with pytest.raises(TargetError, match="did you mean 'openvino'"):
        client.call("info")
    client.close()


def test_a_command_that_takes_too_long_is_stopped_and_the_next_one_works() -> None:
    client = WorkerClient("onnxruntime", 1, timeout_s=60)
    client.call("info")
    pid = client.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    client.timeout_s = 0.3
    with pytest.raises(EvaluationError, match=r"took more than 0\.3 s"):
        client.call("info")
    client.timeout_s = 60
    reply, _ = client.call("info")
    assert reply["float_types"] == ["f32"]
    assert client.pid != pid
    client.close()
    assert client.pid is None


def test_a_death_during_a_command_tells_the_signal() -> None:
    client = WorkerClient("onnxruntime", 1)
    client.call("info")
    pid = client.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    threading.Timer(0.3, os.kill, (pid, signal.SIGKILL)).start()
    with pytest.raises(EvaluationError, match=r"died during 'info' \(signal 9\)"):
        client.call("info")
    client.close()


def test_closing_ends_the_process() -> None:
    client = WorkerClient("onnxruntime", 1)
    client.call("info")
    pid = client.pid
    assert pid is not None
    client.close()
    time.sleep(0.05)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
