"""The schedule of the pool on workers that exist only as lists: every order of events can be played."""

from __future__ import annotations

import errno

import pytest

from automl.core.errors import EvaluationError
from automl.core.errors import ExecutionError
from automl.execution.base import Job
from automl.execution.base import Lane
from automl.execution.pool import Report
from automl.execution.pool import ReportKind
from automl.execution.pool import WorkerPool
from automl.execution.pool import failed_job
from automl.execution.pool import failure_text


class Played(WorkerPool):
    """Reports what the script says: a list of functions from the set of busy slots to reports."""

    def __init__(self, workers, deaths=(), *, timing=False, fat=(), homeless=(), full=(), timeout_s=None):
        super().__init__(workers, timeout_s, timing_slot=timing)
        self.fat = fat
        #: Slots whose machine's disk is full.
        self.full = full if full == "all" else set(full)
        self.homeless = homeless
        self.log = []
        self.deaths = list(deaths)
        self.news = []

    def _prepare(self, setup, work):
        self.work = work

    def _launch(self, slot):
        self.log.append(("launch", slot))
        if "setup" in self.deaths:
            self.news.append(Report(slot, ReportKind.DIED, "out of memory"))
        elif slot not in self.homeless:
            self.news.append(Report(slot, ReportKind.READY))

    def _is_placed(self, slot):
        return slot not in self.homeless

    def _assign(self, slot, payload):
        self.log.append((payload, slot))
        if payload in self.deaths:
            self.deaths.remove(payload)
            self.news.append(Report(slot, ReportKind.DIED, "signal SIGKILL"))
        elif self.full == "all" or slot in self.full:
            self.news.append(Report(slot, ReportKind.BROKEN, "the system refuses to write"))
        elif payload in self.fat:
            self.news.append(Report(slot, ReportKind.OVER_MEMORY, "it took 900 MB"))
        else:
            self.news.append(Report(slot, ReportKind.DONE, self.work(None, payload)))

    def _wait(self, timeout_s):
        # The latest first: jobs end in another order than they began.
        return [self.news.pop()]

    def _set_aside(self, slot, reason):
        self.log.append(("aside", slot))
        if self.full == "all":
            return False
        # The slot comes back on another machine.
        self.full.discard(slot)
        return True

    def _kill(self, slot):
        self.log.append(("kill", slot))


def play(pool, jobs):
    pool.start(dict, lambda state, payload: payload.upper())
    for name, lane in jobs:
        pool.submit(Job(name, name, lane))
    return list(pool.completions())


SHARED, EXCLUSIVE = Lane.SHARED, Lane.EXCLUSIVE


def test_order_of_submission_whatever_ends_first():
    pool = Played(3)
    done = play(pool, [(name, SHARED) for name in "abcdef"])
    assert [c.value for c in done] == list("ABCDEF")


def test_no_more_workers_are_launched_than_there_are_jobs():
    pool = Played(4)
    play(pool, [("a", SHARED), ("b", SHARED)])
    assert [entry for entry in pool.log if entry[0] == "launch"] == [("launch", 0), ("launch", 1)]


def test_exclusive_jobs_come_last_and_on_the_first_slot():
    pool = Played(2)
    play(pool, [("x", EXCLUSIVE), ("a", SHARED), ("b", SHARED), ("y", EXCLUSIVE)])
    jobs = [entry for entry in pool.log if entry[0] != "launch"]
    assert {entry[0] for entry in jobs[:2]} == {"a", "b"}
    assert jobs[2:] == [("x", 0), ("y", 0)]


def test_job_of_a_dead_worker_goes_to_a_fresh_one():
    pool = Played(1, deaths=["b", "b"])
    done = play(pool, [("a", SHARED), ("b", SHARED), ("c", SHARED)])
    assert [c.value for c in done] == ["A", "B", "C"]
    assert pool.log.count(("launch", 0)) == 3
    assert pool.log.count(("b", 0)) == 3


def test_third_death_fails_the_job_with_the_last_reason():
    pool = Played(1, deaths=["b"] * 3)
    done = play(pool, [("b", SHARED), ("c", SHARED)])
    assert done[0].failure == "its worker died 3 times, last time by: signal SIGKILL"
    assert done[1].value == "C"


def test_the_job_of_a_machine_whose_disk_is_full_is_done_elsewhere_and_is_no_attempt():
    pool = Played(2, full={0, 1})
    done = play(pool, [("a", SHARED), ("b", SHARED), ("c", SHARED)])
    assert [c.value for c in done] == ["A", "B", "C"]
    aside = [slot for kind, slot in pool.log if kind == "aside"]
    assert aside
    assert [slot for kind, slot in pool.log if kind == "kill"] == aside
    twice_dead = Played(1, deaths=["a", "a"], full={0})
    assert [c.value for c in play(twice_dead, [("a", SHARED)])] == ["A"]


def test_without_another_machine_a_full_disk_ends_the_run():
    pool = Played(2, full="all")
    with pytest.raises(ExecutionError, match="refuses to write"):
        play(pool, [("a", SHARED)])


@pytest.mark.parametrize(("late_s", "failed"), [(3600.0, False), (0.5, True)])
def test_time_in_which_the_machine_was_suspended_is_not_the_jobs(monkeypatch, late_s, failed):
    clock = [0.0]
    monkeypatch.setattr("automl.execution.pool.time.monotonic", lambda: clock[0])

    class Sleeping(Played):
        waits = 0

        def _wait(self, timeout_s):
            # The job's news come late: first it begins, then its time is over, then it is done.
            self.waits += 1
            if self.waits == 2:
                clock[0] += timeout_s + late_s
                return []
            return super()._wait(timeout_s)

    pool = Sleeping(1, timeout_s=10.0)
    pool.news.append(Report(0, ReportKind.READY))
    (done,) = play(pool, [("a", SHARED)])
    assert (done.failure is not None) == failed
    assert done.value == (None if failed else "A")


def test_exclusive_job_of_a_dead_worker_is_tried_again_alone():
    pool = Played(2, deaths=["x"])
    done = play(pool, [("a", SHARED), ("x", EXCLUSIVE), ("y", EXCLUSIVE)])
    assert [c.value for c in done] == ["A", "X", "Y"]


def test_workers_that_never_get_ready_end_the_run():
    pool = Played(1, deaths=["setup"])
    with pytest.raises(ExecutionError, match="die before they are ready: out of memory"):
        play(pool, [("a", SHARED)])


def test_workers_that_are_ready_go_on_without_those_that_never_get_ready():
    class Half(Played):
        def _launch(self, slot):
            self.log.append(("launch", slot))
            kind = ReportKind.READY if slot == 0 else ReportKind.DIED
            self.news.append(Report(slot, kind, "out of memory"))

        def _wait(self, timeout_s):
            return [self.news.pop(0)]

    pool = Half(2)
    done = play(pool, [(name, SHARED) for name in "abcdefghijklmnopqrst"])
    assert [c.value for c in done] == list("ABCDEFGHIJKLMNOPQRST")
    assert pool.log.count(("launch", 1)) == 7


def test_failure_text_keeps_our_sentence_and_names_other_errors():
    assert failure_text(EvaluationError("layer 3 has no scale")) == "layer 3 has no scale"
    assert failure_text(ValueError("odd")) == "ValueError: odd"
    assert failure_text(MemoryError()) == "MemoryError"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS])
def test_a_disk_that_takes_nothing_breaks_the_run_however_deep_the_reason_lies(code):
    disk = OSError(code, "refused", "work/a.onnx")
    for error in (disk, caused(EvaluationError("x"), disk), caused(ValueError(), caused(KeyError(), disk))):
        kind, text = failed_job(error)
        assert kind is ReportKind.BROKEN
        assert "work/a.onnx" in text
        assert "resume" in text


def test_other_reasons_fail_the_job_alone():
    missing = FileNotFoundError(errno.ENOENT, "No such file", "a.onnx")
    for error in (EvaluationError("no scale"), MemoryError("1 GiB"), missing):
        assert failed_job(error) == (ReportKind.FAILED, failure_text(error))


def caused(error, cause):
    error.__cause__ = cause
    return error


def test_a_job_over_its_memory_fails_at_once_and_its_worker_is_replaced():
    pool = Played(1, fat={"b"})
    done = play(pool, [("a", SHARED), ("b", SHARED), ("c", SHARED)])
    assert [c.failure for c in done] == [None, "it took 900 MB", None]
    assert pool.log.count(("kill", 0)) == 1
    assert pool.log.count(("launch", 0)) == 2
    assert pool.log.count(("b", 0)) == 1


def test_timing_has_a_slot_of_its_own_and_waits_for_nobody():
    pool = Played(1, timing=True)
    done = play(pool, [("a", SHARED), ("x", EXCLUSIVE), ("b", SHARED), ("y", EXCLUSIVE), ("c", SHARED)])
    assert [c.value for c in done] == ["A", "X", "B", "Y", "C"]
    jobs = [entry for entry in pool.log if entry[0] in "abcxy"]
    assert dict(jobs) == {"a": 0, "b": 0, "c": 0, "x": 1, "y": 1}
    order = [entry for entry, _ in jobs]
    assert order.index("x") < order.index("c")


def test_a_worker_without_a_place_holds_up_neither_jobs_nor_timing():
    pool = Played(3, homeless={0, 2})
    done = play(pool, [("a", SHARED), ("b", SHARED), ("c", SHARED), ("x", EXCLUSIVE)])
    assert [c.value for c in done] == ["A", "B", "C", "X"]
    assert {slot for entry, slot in pool.log if entry in "abcx"} == {1}
