from __future__ import annotations

import ast
import re
import sys
import tomllib
import warnings

import pytest

from tests.architecture.source import ROOT
from tests.architecture.source import inside
from tests.architecture.source import package_files
from tests.architecture.source import tree_of

FAIL_LINES = 600
REVIEW_LINES = 400
_TRITON_LINES = 800
#: Stdlib modules that nobody here imports and whose name is the right word.
_HARMLESS = {"trace"}
_FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "misc", "common", "manager"}


def line_limit(path: str) -> int:
    """Return the most lines a file may have."""
    return _TRITON_LINES if path.endswith("triton_impl.py") else FAIL_LINES


def dependency_names() -> set[str]:
    """Return import names of every dependency in pyproject."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = [*project["dependencies"], *(d for e in project["optional-dependencies"].values() for d in e)]
    names = {re.split(r"[<>=!~\[; ]", d)[0].lower().replace("-", "_") for d in listed}
    return names | {"triton", "yaml", "PIL", "skimage", "sklearn", "torch_pruning", "jax", "click"}


def bad_name(path: str, dependencies: set[str]) -> str | None:
    """Return what is wrong with a file or folder name of the package, or None."""
    for part in path.removesuffix(".py").split("/"):
        if part in dependencies:
            return f"{path}: '{part}' is the name of a dependency"
        if part in sys.stdlib_module_names - _HARMLESS and not part.startswith("__"):
            return f"{path}: '{part}' is the name of a stdlib module"
        if part in _FORBIDDEN_NAMES:
            return f"{path}: '{part}' says nothing; name it for its content"
    return None


@pytest.mark.parametrize("path", package_files(), ids=inside)
def test_file_is_small_enough(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= line_limit(inside(path)), f"{inside(path)} has {lines} lines; split it"


def test_long_files_are_listed_for_review(record_property):
    long = [inside(p) for p in package_files() if len(p.read_text("utf-8").splitlines()) > REVIEW_LINES]
    record_property("review", long)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        if long:
            warnings.warn(f"files above {REVIEW_LINES} lines, to review: {', '.join(long)}", stacklevel=1)
    assert len(long) <= len(package_files()) // 10, f"more than a tenth of the files need review: {long}"


@pytest.mark.parametrize("path", package_files(), ids=inside)
def test_file_has_an_honest_name(path):
    assert bad_name(inside(path), dependency_names()) is None


@pytest.mark.parametrize(
    "name", ["execution/ray.py", "strategies/optuna.py", "core/random.py", "core/utils.py"]
)
def test_name_rule_catches(name):
    assert bad_name(name, dependency_names())


def test_name_rule_lets_honest_names_pass():
    assert bad_name("execution/ray_executor.py", dependency_names()) is None


@pytest.mark.parametrize("path", package_files(), ids=inside)
def test_module_says_what_it_is(path):
    assert ast.get_docstring(tree_of(path)), f"{inside(path)} has no module docstring"
