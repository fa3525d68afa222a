"""Every module with code has its test file at the same place below tests/."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.architecture.source import ROOT
from tests.architecture.source import has_code
from tests.architecture.source import inside
from tests.architecture.source import package_files
from tests.architecture.source import tree_of

if TYPE_CHECKING:
    from pathlib import Path

#: Pure contracts: protocols and values without behaviour, exercised by every test of their room.
CONTRACTS = {
    "__init__.py",
    "evaluators/base.py",
    "execution/base.py",
    "strategies/base.py",
    "targets/base.py",
    "transforms/plan.py",
}


def mirror_of(path: str) -> Path:
    """Return where the test of ``path`` (below automl/) belongs."""
    folder, _, name = path.rpartition("/")
    return ROOT / "tests" / folder / f"test_{name}"


@pytest.mark.parametrize(
    "path", [p for p in package_files() if has_code(tree_of(p)) and inside(p) not in CONTRACTS], ids=inside
)
def test_module_has_a_test_file(path):
    mirror = mirror_of(inside(path))
    assert mirror.exists(), f"{inside(path)} has no {mirror.relative_to(ROOT)}"
    assert (
        "def test_" in mirror.read_text()
        or "(unittest" in mirror.read_text()
        or "Suite" in mirror.read_text()
    )


def test_contract_list_names_existing_files():
    assert {inside(p) for p in package_files()} >= CONTRACTS


def test_mirror_of_a_nested_module():
    assert mirror_of("strategies/operators/survival.py").relative_to(ROOT).as_posix() == (
        "tests/strategies/operators/test_survival.py"
    )


def test_every_test_folder_is_a_package():
    # Files of one name in two folders, such as test_base.py, collide when their folders are not packages.
    folders = {p.parent for p in (ROOT / "tests").rglob("test_*.py")}
    assert sorted(f.relative_to(ROOT).as_posix() for f in folders if not (f / "__init__.py").exists()) == []
