from __future__ import annotations

import stat

import pytest

from automl.stages.secret_storage import STORAGE_FILE
from automl.stages.secret_storage import keep_storage
from automl.stages.secret_storage import kept_storage


@pytest.mark.parametrize("url", ["redis://:hunter2@host:6379/0", "postgresql+psycopg://me:hunter2@host/db"])
def test_a_url_with_a_password_comes_back_and_is_for_its_owner_alone(tmp_path, url):
    (tmp_path / STORAGE_FILE).touch(mode=0o644)
    keep_storage(tmp_path, url)
    assert kept_storage(tmp_path) == url
    assert stat.S_IMODE((tmp_path / STORAGE_FILE).stat().st_mode) == 0o600


@pytest.mark.parametrize("url", [None, "sqlite:////x/y.db", "redis://host/0"])
def test_where_nothing_is_to_hide_there_is_no_file(tmp_path, url):
    keep_storage(tmp_path, url)
    assert list(tmp_path.iterdir()) == []
    assert kept_storage(tmp_path) is None
