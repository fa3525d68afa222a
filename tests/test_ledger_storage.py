from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from automl.core.errors import LedgerError
from automl.ledger_storage import check_storage
from automl.ledger_storage import is_server
from automl.ledger_storage import location
from automl.ledger_storage import open_study
from automl.ledger_storage import public


def test_text_with_a_scheme_is_a_url_and_anything_else_a_journal_file():
    assert location("sqlite:///a.db") == "sqlite:///a.db"
    assert location("run/ledger.journal") == Path("run/ledger.journal")
    assert public(Path("a://b")) == "a:/b"


def test_a_database_that_answers_and_one_that_can_be_made_pass(tmp_path):
    new = tmp_path / "new.db"
    check_storage(f"sqlite:///{new}")
    assert not new.exists()
    sqlite3.connect(tmp_path / "old.db").execute("create table t (x)").connection.commit()
    check_storage(f"sqlite:///{tmp_path}/old.db")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("run.db", "is no URL"),
        ("://", "is not understood"),
        ("nosql://user:hunter2@host/db", "is not understood"),
        ("postgresql://user:hunter2", "is not understood"),
        ("mssql+pymssql://user:hunter2@host/db", "driver that is not installed"),
        ("redis://user:hunter2@host:port", r"is not understood|driver that is not installed"),
        ("sqlite://", "in memory and lost"),
        ("sqlite:///:memory:", "in memory and lost"),
    ],
)
def test_a_url_that_cannot_serve_is_one_sentence_without_the_password(url, says):
    with pytest.raises(LedgerError, match=says) as caught:
        check_storage(url)
    assert "leave the storage out" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_places_that_hold_no_database_are_refused(tmp_path):
    (tmp_path / "text").write_text("not a database, and long enough to have no header of one")
    with pytest.raises(LedgerError, match=r"does not answer \(file is not a database\)"):
        check_storage(f"sqlite:///{tmp_path}/text")
    for place in (f"{tmp_path}/none/x.db", f"{tmp_path}/text/x.db", "/proc/x.db"):
        with pytest.raises(LedgerError, match="cannot be made"):
            check_storage(f"sqlite:///{place}")


def test_what_optuna_does_not_understand_is_not_quoted():
    with pytest.raises(LedgerError, match="is not understood") as caught:
        open_study("postgresql://user:hunter2", "run")
    assert "hunter2" not in str(caught.value)


def test_a_server_is_waited_for_and_a_file_is_not(tmp_path):
    assert is_server("postgresql+psycopg://me@host/db")
    assert is_server("redis://host:6379/0")
    assert not is_server("sqlite:////x/y.db")
    assert not is_server(tmp_path / "ledger.journal")
