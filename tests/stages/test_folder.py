from __future__ import annotations

from pathlib import Path

import pytest

from automl.config import make_config
from automl.core.errors import ConfigError
from automl.stages.folder import LEDGER_FILE
from automl.stages.folder import cache_folder
from automl.stages.folder import discard_unused
from automl.stages.folder import free_folder
from automl.stages.folder import no_answer
from automl.stages.folder import open_folder
from automl.stages.folder import stored_config


def test_new_runs_get_the_first_free_number(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = make_config({"model": "pkg.mod:build"})
    first = open_folder(config, None)
    second = open_folder(config, None)
    assert (first.name[-2:], second.name[-2:]) == ("-1", "-2")
    assert free_folder("../../etc/passwd").parent == Path("runs")


def test_an_equal_configuration_continues_and_another_one_is_named(tmp_path):
    config = make_config({"model": "m", "budget": "latency=5ms"})
    folder = open_folder(config, tmp_path / "r")
    (folder / LEDGER_FILE).write_text("a trial")
    assert open_folder(make_config({"model": "m", "budget": "latency=5ms", "workers": 2}), folder) == folder
    with pytest.raises(ConfigError, match=r"budget: .*latency=5ms.*latency=4ms"):
        open_folder(make_config({"model": "m", "budget": "latency=4ms"}), folder)
    for wanted, message in (
        ({"data_seed": 7}, "data_seed: None there, 7 here"),
        ({"seed": 7, "data_seed": 0}, "seed: 0 there, 7 here"),
    ):
        with pytest.raises(ConfigError, match=message):
            open_folder(make_config({"model": "m", "budget": "latency=5ms", **wanted}), folder)
    assert stored_config(folder) == config


def test_a_data_seed_that_is_dropped_is_another_configuration(tmp_path):
    folder = open_folder(make_config({"model": "m", "data_seed": 7}), tmp_path / "r")
    (folder / LEDGER_FILE).write_text("a trial")
    with pytest.raises(ConfigError, match="data_seed: 7 there, None here"):
        open_folder(make_config({"model": "m"}), folder)


def test_a_folder_whose_run_recorded_nothing_is_taken_over(tmp_path):
    open_folder(make_config({"model": "misspelt"}), tmp_path / "r")
    config = make_config({"model": "m"})
    assert open_folder(config, tmp_path / "r") == tmp_path / "r"
    assert stored_config(tmp_path / "r") == config


def test_an_unused_folder_is_removed_and_anything_else_stays(tmp_path):
    config = make_config({"model": "m"})
    discard_unused(open_folder(config, tmp_path / "unused"))
    assert not (tmp_path / "unused").exists()
    used = open_folder(config, tmp_path / "used")
    (used / LEDGER_FILE).write_text("a trial")
    discard_unused(used)
    assert (used / "config.yaml").exists()
    noted = open_folder(config, tmp_path / "noted")
    (noted / "notes.txt").write_text("mine")
    discard_unused(noted)
    assert (noted / "notes.txt").read_text() == "mine"


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        open_folder(make_config({"model": "m"}), tmp_path / "file" / "run")


def test_a_folder_with_other_content_is_not_touched(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match="not a run folder"):
        open_folder(make_config({"model": "m"}), tmp_path)
    with pytest.raises(ConfigError, match="not a run folder"):
        stored_config(tmp_path)


def test_a_folder_without_an_answer_is_no_run_or_an_unfinished_one(tmp_path):
    assert "is no run folder" in no_answer(tmp_path)
    assert "is no run folder" in no_answer(tmp_path / "none")
    folder = open_folder(make_config({"model": "m"}), tmp_path / "r")
    assert no_answer(folder).endswith(f"finish it: automl resume {folder}")


@pytest.mark.parametrize("url", ["postgresql://user:hunter2@host/db", "redis://:hunter2@host:6379/0"])
def test_the_configuration_shows_no_password_and_a_resumed_run_has_it(tmp_path, url):
    config = make_config({"model": "m", "storage": url})
    folder = open_folder(config, tmp_path / "r")
    assert "hunter2" not in (folder / "config.yaml").read_text()
    assert stored_config(folder) == config
    shown = [p.name for p in folder.iterdir() if p.stat().st_mode & 0o077]
    assert shown == ["config.yaml"]


def test_cache_is_the_users_unless_given(tmp_path):
    assert cache_folder(make_config({"model": "m", "cache": tmp_path})) == tmp_path
    assert cache_folder(make_config({"model": "m"})).name == "automl"
