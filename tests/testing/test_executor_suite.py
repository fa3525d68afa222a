"""The suite must catch executors that break the contract: each fault fails the test named beside it."""

from __future__ import annotations

import pytest

from automl.execution.base import Completion
from automl.execution.base import Lane
from automl.execution.local_executor import InlineExecutor
from automl.execution.simulated import SimulatedExecutor
from automl.testing.executor_suite import ExecutorSuite


class Reversed(InlineExecutor):
    def completions(self):
        return iter(list(super().completions())[::-1])


class Talkative(InlineExecutor):
    def completions(self):
        for done in super().completions():
            yield Completion(done.key, done.value, done.failure and "it failed", done.seconds)


class Forgetful(InlineExecutor):
    def cancel(self):
        pass


class OneLane(SimulatedExecutor):
    def submit(self, job):
        super().submit(type(job)(job.key, job.payload, Lane.SHARED))


class Suite(ExecutorSuite):
    """Not collected by itself: it has no Test in its name."""

    def __init__(self, make):
        self.build = make

    def build(self):
        raise AssertionError("set in the constructor")

    def intervals(self, executor, done):
        return {key: (start, end) for key, start, end in executor.history}


FAULTS = [
    (Reversed, "test_completions_come_in_order_of_submission"),
    (Talkative, "test_exception_becomes_the_reason_and_the_rest_goes_on"),
    (Forgetful, "test_cancelled_jobs_are_not_reported"),
    (lambda: OneLane(2, lambda payload: 1.0), "test_exclusive_never_overlaps_anything"),
    (lambda: OneLane(2, lambda payload: 1.0), "test_shared_jobs_run_before_exclusive_ones"),
]


@pytest.mark.parametrize(("make", "name"), FAULTS, ids=[name for _, name in FAULTS])
def test_a_planted_fault_is_caught(make, name):
    suite = Suite(make)
    with pytest.raises(AssertionError):
        getattr(suite, name)(suite.build())
