import os

from automl.stages.stored import stored_name
from automl.stages.stored import trim


def entry(folder, name, size, age):
    path = folder / name
    path.mkdir()
    (path / "data").write_bytes(bytes(size))
    os.utime(path, (1_000_000 - age, 1_000_000 - age))
    return path


def test_what_was_used_longest_ago_goes_first(tmp_path):
    old, middle, new = (entry(tmp_path, n, 100, age) for n, age in (("c", 30), ("b", 20), ("a", 10)))
    trim(tmp_path, 250)
    assert not old.exists()
    assert middle.exists()
    assert new.exists()
    middle.touch()
    trim(tmp_path, 150)
    assert middle.exists()
    assert not new.exists()


def test_the_newest_entry_stays_even_when_it_is_too_large(tmp_path):
    only = entry(tmp_path, "a", 100, 0)
    (tmp_path / "file").write_bytes(bytes(10))
    os.utime(tmp_path / "file", (1, 1))
    trim(tmp_path, 5)
    assert only.exists()
    assert not (tmp_path / "file").exists()


def test_a_folder_that_does_not_exist_is_fine(tmp_path):
    trim(tmp_path / "nothing")


def test_the_name_of_stored_work_depends_on_every_part_and_on_the_code(monkeypatch):
    names = {stored_name("a", "b"), stored_name("a", "c"), stored_name("ab")}
    monkeypatch.setattr("automl.stages.stored.code_version", lambda: "other code")
    assert len({*names, stored_name("a", "b")}) == 4
