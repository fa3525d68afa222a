from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading

import psutil
import pytest

from automl.core.errors import LedgerError
from automl.ledger_file import WriterLock
from automl.ledger_file import checked_entry
from automl.ledger_file import checksum


def owner(pid, started, host=None):
    return json.dumps({"pid": pid, "started": started, "host": host or socket.gethostname()})


def test_second_writer_is_refused_until_the_first_releases(tmp_path):
    path = tmp_path / "ledger.lock"
    lock = WriterLock(path)
    with pytest.raises(LedgerError, match=f"being written by process {os.getpid()}"):
        WriterLock(path)
    lock.release()
    lock.release()
    WriterLock(path).release()
    assert list(tmp_path.iterdir()) == []


def test_lock_of_a_dead_process_is_taken_over(tmp_path):
    path = tmp_path / "ledger.lock"
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    started = psutil.Process(dead.pid).create_time()
    dead.wait()
    path.write_text(owner(dead.pid, started))
    lock = WriterLock(path)
    assert json.loads(path.read_text())["pid"] == os.getpid()
    lock.release()


def test_lock_of_a_killed_process_that_nobody_waited_for_is_taken_over(tmp_path):
    path = tmp_path / "ledger.lock"
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    path.write_text(owner(child.pid, psutil.Process(child.pid).create_time()))
    with pytest.raises(LedgerError, match=str(child.pid)):
        WriterLock(path)
    child.kill()
    while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
        pass
    WriterLock(path).release()
    child.wait()


def test_reused_process_number_does_not_hold_the_lock(tmp_path):
    path = tmp_path / "ledger.lock"
    path.write_text(owner(os.getpid(), psutil.Process().create_time() - 1000))
    WriterLock(path).release()


def test_lock_of_another_machine_is_left_alone(tmp_path):
    path = tmp_path / "ledger.lock"
    path.write_text(owner(1, 0.0, "elsewhere"))
    with pytest.raises(LedgerError, match=r"machine 'elsewhere'.*delete the file"):
        WriterLock(path)
    assert path.exists()


@pytest.mark.parametrize("text", ["", "not json", "[1]", '{"pid": "x"}'])
def test_unreadable_lock_is_taken_over(tmp_path, text):
    path = tmp_path / "ledger.lock"
    path.write_text(text)
    WriterLock(path).release()


def test_of_many_takers_of_a_stale_lock_one_wins(tmp_path):
    path = tmp_path / "ledger.lock"
    path.write_text(owner(os.getpid(), 1.0))
    won, refused = [], []
    barrier = threading.Barrier(8)

    def take():
        barrier.wait()
        try:
            won.append(WriterLock(path))
        except LedgerError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(refused)) == (1, 7)
    assert [p.name for p in tmp_path.iterdir()] == ["ledger.lock"]


@pytest.mark.parametrize("line", [b"", b"[]", b"{}", b'{"op_code":"0","worker_id":"w"}', b"\xff\xfe"])
def test_line_that_is_no_entry_is_named(tmp_path, line):
    with pytest.raises(LedgerError, match="j is damaged at line 2"):
        checked_entry(tmp_path / "j", 2, line + b"\n")


def test_an_entry_is_what_its_line_says_and_a_trial_needs_its_checksum(tmp_path):
    entry = {"op_code": 4, "worker_id": "w", "user_attrs": {"automl": {"a": 1, "check": checksum({"a": 1})}}}
    assert checked_entry(tmp_path / "j", 1, json.dumps(entry).encode()) == entry
    entry["user_attrs"]["automl"]["a"] = 2
    with pytest.raises(LedgerError, match="not an intact entry"):
        checked_entry(tmp_path / "j", 1, json.dumps(entry).encode())


def test_checksum_sees_content_but_not_order_or_itself():
    assert checksum({"a": 1, "b": 2}) == checksum({"b": 2, "a": 1, "check": "x"})
    assert checksum({"a": 1, "b": 2}) != checksum({"a": 1, "b": 3})
