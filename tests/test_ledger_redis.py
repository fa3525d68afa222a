"""The journal on a Redis server, on a server of this file that speaks the few commands a journal needs."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest

from automl.core.errors import LedgerError
from automl.ledger_journal import JournalStudy
from automl.ledger_redis import RedisLines
from automl.ledger_redis import is_redis
from automl.ledger_storage import check_storage
from tests.test_ledger_journal import DIRECTIONS
from tests.test_ledger_journal import frozen


class RedisError(Exception):
    """What the driver raises for everything."""


class Server:
    """Holds keys; the pickled snapshot that Optuna would load is a bomb."""

    def __init__(self):
        self.keys = {":snapshot": b"cos\nsystem\n(S'false'\ntR."}
        self.away = False

    def ask(self):
        if self.away:
            raise RedisError("Error 111 connecting to host:6379. Connection refused.")

    def client(self, url):
        def get(key):
            self.ask()
            assert key != ":snapshot", "the snapshot must not even be looked at"
            return self.keys.get(key)

        def ping():
            self.ask()

        return SimpleNamespace(get=get, ping=ping)

    def backend(self, url):
        def append_logs(entries):
            self.ask()
            for entry in entries:
                number = int(self.keys.get(":log_number", -1)) + 1
                self.keys[":log_number"] = str(number).encode()
                self.keys[f":log:{number}"] = json.dumps(entry).encode()

        def read_logs(start):
            self.ask()
            for number in range(start, int(self.keys.get(":log_number", -1)) + 1):
                yield json.loads(self.keys[f":log:{number}"])

        return SimpleNamespace(append_logs=append_logs, read_logs=read_logs)


@pytest.fixture
def server(monkeypatch):
    made = Server()
    driver = SimpleNamespace(
        Redis=SimpleNamespace(from_url=made.client), exceptions=SimpleNamespace(RedisError=RedisError)
    )
    monkeypatch.setitem(sys.modules, "redis", driver)
    monkeypatch.setattr("optuna.storages.journal.JournalRedisBackend", made.backend)
    return made


def opened(url="redis://host:6379"):
    study = JournalStudy(RedisLines(url), "run")
    return study, study.find(), list(study.trials())


def test_only_the_two_schemes_of_redis_are_taken():
    assert is_redis("redis://host")
    assert is_redis("rediss://:secret@host:6379/0")
    assert not is_redis("postgresql://host/redis://")
    assert not is_redis(None)


def test_trials_come_back_and_nothing_is_unpickled(server):
    study, found, _ = opened()
    assert not found
    study.create(DIRECTIONS)
    assert [study.add(frozen(number)) for number in range(120)] == list(range(120))
    again, found, trials = opened()
    assert found
    assert [t.record["number"] for t in trials] == list(range(120))
    assert not trials[0].checked
    assert again.add(frozen(120)) == 120
    assert server.keys[":snapshot"].startswith(b"cos")


def test_a_server_that_is_away_is_an_error_of_the_system(server):
    study, _, _ = opened()
    study.create(DIRECTIONS)
    server.away = True
    with pytest.raises(OSError, match="Connection refused"):
        study.add(frozen(0))
    with pytest.raises(LedgerError, match=r"redis://host/ does not answer \(Error 111") as caught:
        check_storage("redis://:hunter2@host:6379/")
    assert "hunter2" not in str(caught.value)
    server.away = False
    assert study.stored(0) is None
    assert study.add(frozen(0)) == 0
    assert study.stored(0).number == 0


def test_a_server_that_forgot_entries_is_noticed(server):
    study, _, _ = opened()
    study.create(DIRECTIONS)
    study.add(frozen(0))
    server.keys[":log_number"] = b"0"
    with pytest.raises(OSError, match=r"lost 1 entries; let it keep its data \(appendonly yes\)"):
        study.stored(0)


def test_without_the_driver_there_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(LedgerError, match="driver that is not installed") as caught:
        check_storage("redis://:hunter2@host:6379")
    assert "hunter2" not in str(caught.value)
