from __future__ import annotations

import pytest

from automl.core.storage_url import public_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///runs/a b.db?timeout=3", "sqlite:///runs/a b.db"),
        ("postgresql+psycopg://user:hunter2@db.example:5432/runs", "postgresql+psycopg://db.example/runs"),
        ("mysql://host/runs?password=hunter2", "mysql://host/runs"),
        ("mysql://host", "mysql://host"),
        ("runs/ledger.journal", "runs/ledger.journal"),
        ("nosql://", "nosql://..."),
    ],
)
def test_scheme_host_and_database_are_shown(url, shown):
    assert public_url(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:hunter2@host/db",
        "postgresql://user:hunter2",
        "postgresql://user:hun/ter2@host/db",
        "postgresql://user:hun?ter2@host/db",
        "postgresql://user:hun#ter2@host/db",
        "postgresql://user:a@ter2@host/db",
        "postgresql://user:12?ter2@host/db",
        "postgresql://host/db?password=a@ter2",
        "postgresql://host/db?user=u&password=ter2",
    ],
)
def test_a_password_is_never_shown_however_it_is_written(url):
    assert "ter2" not in public_url(url)
