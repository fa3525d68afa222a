from __future__ import annotations

import errno
import threading
import time

import psutil

from automl.core.errors import EvaluationError
from automl.execution.memory_guard import run_guarded
from automl.execution.pool import ReportKind


def allocate(state, payload):
    block = bytearray(payload)
    block[::4096] = b"x" * len(block[::4096])  # touched, so that it is resident
    state.wait(10)
    return len(block)


def refuse(state, payload):
    raise payload


def test_without_a_cap_the_job_runs_in_the_calling_thread():
    kind, value = run_guarded(lambda state, payload: threading.current_thread(), None, None, None)
    assert (kind, value) == (ReportKind.DONE, threading.current_thread())


def test_a_job_within_its_memory_gives_its_value():
    done = threading.Event()
    done.set()
    assert run_guarded(allocate, done, 1000, 2**40) == (ReportKind.DONE, 1000)


def test_a_job_over_its_memory_is_given_up_while_it_runs():
    release = threading.Event()
    cap = psutil.Process().memory_info().rss + 30_000_000
    began = time.monotonic()
    kind, text = run_guarded(allocate, release, 100_000_000, cap)
    release.set()
    assert kind is ReportKind.OVER_MEMORY
    assert "MB are allowed" in text
    assert time.monotonic() - began < 9


def test_exceptions_are_reasons_under_a_cap_and_without():
    for cap in (None, 2**40):
        assert run_guarded(refuse, None, EvaluationError("no scale"), cap) == (ReportKind.FAILED, "no scale")
        kind, text = run_guarded(refuse, None, OSError(errno.ENOSPC, "No space left"), cap)
        assert kind is ReportKind.BROKEN
        assert "free the disk" in text
