from __future__ import annotations

import sys
import threading
from functools import partial
from multiprocessing import Pipe

import pytest

from automl.execution.pool import ReportKind
from automl.execution.worker import serve
from automl.testing.executor_suite import act
from automl.testing.executor_suite import build_state
from automl.testing.executor_suite import refuse_state


@pytest.fixture
def pipe():
    ours, theirs = Pipe()
    thread = threading.Thread(target=serve, args=(theirs,))
    thread.start()
    yield ours
    ours.close()
    thread.join(timeout=10)
    # Closing the pipe is how a worker is told to end.
    assert not thread.is_alive()


def test_answers_payloads_until_the_pipe_closes(pipe):
    pipe.send(sys.path)
    pipe.send((partial(build_state, 3), act, None))
    assert pipe.recv()[0] is ReportKind.READY
    for payload, answer in [
        ({"add": 1}, (ReportKind.DONE, 4)),
        ({"fail": "why"}, (ReportKind.FAILED, "why")),
    ]:
        pipe.send(payload)
        assert pipe.recv()[:2] == answer


def test_failed_setup_is_reported(pipe):
    pipe.send(sys.path)
    pipe.send((refuse_state, act, None))
    assert pipe.recv()[:2] == (ReportKind.SETUP_FAILED, "there is no model at this place")


def test_time_of_the_job_is_reported(pipe):
    pipe.send(sys.path)
    pipe.send((build_state, act, None))
    pipe.recv()
    pipe.send({"sleep": 0.05})
    assert pipe.recv()[2] >= 0.05
