from __future__ import annotations

from automl import __version__
from automl.stages.code_version import code_digest
from automl.stages.code_version import code_version


def package(root, **files):
    for name, text in files.items():
        file = root / f"{name.replace('__', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def test_the_version_of_the_project_stands_in_front():
    assert code_version().startswith(f"{__version__}+")


def test_code_that_tables_depend_on_changes_the_digest(tmp_path):
    before = code_digest(package(tmp_path, targets__qdq="x = 1"))
    assert code_digest(package(tmp_path, targets__qdq="x = 2")) != before


def test_code_that_tables_do_not_depend_on_keeps_the_digest(tmp_path):
    before = code_digest(package(tmp_path, targets__qdq="x = 1", cli__app="y = 1"))
    assert code_digest(package(tmp_path, cli__app="y = 2")) == before


def test_a_renamed_module_changes_the_digest(tmp_path):
    one = code_digest(package(tmp_path / "one", targets__a="x = 1"))
    assert code_digest(package(tmp_path / "two", targets__b="x = 1")) != one
