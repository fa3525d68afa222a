import pytest

from automl.core.errors import ConfigError
from automl.evaluators.cache import ContentCache


def test_values_come_back_to_another_instance_whatever_the_key_order(tmp_path):
    ContentCache(tmp_path / "new").put({"a": 1, "b": [2]}, {"x": 0.5})
    assert ContentCache(tmp_path / "new").get({"b": [2], "a": 1}) == {"x": 0.5}
    assert ContentCache(tmp_path / "new").get({"b": [3], "a": 1}) is None


def test_a_torn_file_counts_as_absent_and_is_rewritten(tmp_path):
    cache = ContentCache(tmp_path)
    cache.put(["k"], 1)
    path = cache.path(["k"])
    path.write_text(path.read_text()[:-5])
    assert cache.get(["k"]) is None
    cache.put(["k"], 2)
    assert cache.get(["k"]) == 2


def test_an_entry_of_another_key_or_schema_is_not_returned(tmp_path):
    cache = ContentCache(tmp_path)
    cache.put(["k"], 1)
    cache.path(["other"]).parent.mkdir(parents=True, exist_ok=True)
    cache.path(["other"]).write_text(cache.path(["k"]).read_text())
    assert cache.get(["other"]) is None
    cache.path(["k"]).write_text(cache.path(["k"]).read_text().replace('"schema": 1', '"schema": 0'))
    assert cache.get(["k"]) is None


def test_nothing_partial_is_left_behind(tmp_path):
    cache = ContentCache(tmp_path)
    with pytest.raises(ValueError, match="JSON"):
        cache.put(["k"], float("nan"))
    cache.put(["k"], 1)
    assert [p.suffix for p in tmp_path.rglob("*") if p.is_file()] == [".json"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        ContentCache(tmp_path / "file").put(["k"], 1)
