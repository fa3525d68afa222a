"""Which room may import what; the table in docs/architecture.md says the same in words."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from fnmatch import fnmatch

import pytest

from tests.architecture.source import imports_of
from tests.architecture.source import inside
from tests.architecture.source import package_files
from tests.architecture.source import tree_of


@dataclass(frozen=True)
class Law:
    """What one room may do.

    Args:
        rooms: parts of ``automl`` it may import when it runs; type-only imports are free of this list.
        never: top-level packages or dotted ``automl`` names it may not even import for types.
    """

    rooms: tuple[str, ...]
    never: tuple[str, ...] = ()


_HEAVY_UI = ("typer", "rich", "click")
_SEARCH = ("automl.strategies", "automl.execution", "automl.engine", "automl.api")

LAWS: dict[str, Law] = {
    "core": Law(("core",), ("torch", "ray", "optuna", "triton", *_HEAVY_UI)),
    "searchspaces": Law(
        ("core", "searchspaces", "transforms.precision"),
        ("ray", "optuna", "automl.evaluators", *_SEARCH),
    ),
    "strategies": Law(
        ("core", "strategies", "searchspaces.dimension", "searchspaces.space"),
        ("ray", "automl.evaluators", "automl.targets", "automl.transforms", "automl.models"),
    ),
    "transforms": Law(
        ("core", "transforms", "searchspaces.graph", "kernels"),
        ("ray", "optuna", "automl.evaluators", *_SEARCH),
    ),
    "kernels": Law(
        ("core.errors", "kernels"),
        ("ray", "optuna", "automl.targets", "automl.transforms", "automl.evaluators", *_SEARCH),
    ),
    "targets": Law(
        (
            "core",
            "targets",
            "kernels",
            "transforms.plan",
            "transforms.precision",
            "transforms.kernel_modules",
            "transforms.kernel_convs",
            "searchspaces.graph",
        ),
        ("ray", "optuna", "automl.evaluators", *_SEARCH),
    ),
    "evaluators": Law(
        ("core", "evaluators", "targets", "transforms", "searchspaces"),
        ("ray", "optuna", "automl.cli", *_SEARCH),
    ),
    "execution": Law(
        ("core", "execution"),
        ("optuna", "automl.strategies", "automl.transforms", "automl.models", "automl.evaluators"),
    ),
    "models": Law(("core", "models", "data", "searchspaces"), ("ray", "optuna", "automl.targets", *_SEARCH)),
    "data": Law(("core", "data"), ("ray", "optuna", "automl.models", "automl.targets", *_SEARCH)),
    "artifact": Law(
        ("core", "artifact"),
        ("torch", "ray", "optuna", "triton", "automl.transforms", "automl.targets", *_SEARCH),
    ),
    "testing": Law(
        ("core", "testing", "searchspaces", "strategies", "execution", "evaluators", "targets", "transforms"),
        ("automl.api",),
    ),
    "stages": Law(("*",), ("ray", "triton", "automl.api", *_HEAVY_UI)),
    "engine.py": Law(("*",), ("ray", "triton", "automl.api", *_HEAVY_UI)),
    "ledger.py": Law(
        ("core", "ledger_file", "ledger_record", "ledger_storage", "ledger_study", "searchspaces"),
        ("ray", "torch", *_HEAVY_UI),
    ),
    "ledger_record.py": Law(
        ("core", "ledger_file", "ledger_study", "searchspaces"), ("ray", "torch", *_HEAVY_UI)
    ),
    "ledger_storage.py": Law(
        ("core", "ledger_file", "ledger_journal", "ledger_redis", "ledger_study"),
        ("ray", "torch", *_HEAVY_UI),
    ),
    "ledger_study.py": Law(("core", "ledger_file"), ("ray", "torch", *_HEAVY_UI)),
    "ledger_journal.py": Law(("core", "ledger_file", "ledger_study"), ("ray", "torch", *_HEAVY_UI)),
    "ledger_redis.py": Law(("core",), ("ray", "torch", *_HEAVY_UI)),
    "ledger_file.py": Law(("core",), ("ray", "torch", *_HEAVY_UI)),
    "config.py": Law(("*",), ("torch", "ray", "optuna", "automl.api", "automl.engine", *_HEAVY_UI)),
    "sweep_config.py": Law(
        ("core", "config"), ("torch", "ray", "optuna", "automl.api", "automl.engine", *_HEAVY_UI)
    ),
    "api.py": Law(("*",), _HEAVY_UI),
    "api_result.py": Law(("*",), _HEAVY_UI),
    "api_sweep.py": Law(("*",), _HEAVY_UI),
    "__init__.py": Law(("api", "api_sweep", "config", "core"), _HEAVY_UI),
    "cli": Law(("*",), ("click",)),
}

#: Packages that exactly these files may import, at run time or for types.
ONLY_IN: dict[str, tuple[str, ...]] = {
    "ray": ("execution/ray_executor.py",),
    "optuna": ("ledger*.py", "strategies/optuna_*.py"),
    "triton": ("kernels/*/triton_impl.py",),
    "moocore": ("core/indicators.py",),
    "typer": ("cli/*.py",),
    "rich": ("cli/*.py",),
    "click": (),
    "openvino": ("targets/*.py", "artifact/runtime.py", "artifact/export.py"),
    "onnxruntime": ("targets/*.py", "artifact/runtime.py"),
}
_CORE_PACKAGES = ("numpy",)


def _starts(module: str, prefix: str) -> bool:
    return module == prefix or module.startswith(prefix + ".")


def broken_laws(path: str, tree: ast.AST) -> list[str]:
    """Return one sentence per import of ``path`` (below automl/) that its room may not make."""
    room = path.split("/", maxsplit=1)[0]
    if room not in LAWS:
        return [f"{path}: room '{room}' has no law; add it to LAWS and docs/architecture.md"]
    law, wrong = LAWS[room], []
    package = ".".join(["automl", *path.split("/")[:-1]])
    for item in imports_of(tree, package):
        where = f"{path}:{item.line} imports {item.module}"
        top = item.module.split(".")[0]
        if any(_starts(item.module, name) for name in law.never):
            wrong.append(f"{where}, which {room} never may")
        if top in ONLY_IN and not any(fnmatch(path, pattern) for pattern in ONLY_IN[top]):
            wrong.append(f"{where}, which only {ONLY_IN[top] or 'nobody'} may")
        if _starts(item.module, "automl.cli") and room != "cli":
            wrong.append(f"{where}; nobody imports cli")
        if item.type_only:
            continue
        internal = item.module.removeprefix("automl.") if _starts(item.module, "automl") else None
        if internal and "*" not in law.rooms and not any(_starts(internal, r) for r in law.rooms):
            wrong.append(f"{where}; {room} may import {', '.join(law.rooms)}")
    return wrong


@pytest.mark.parametrize("path", package_files(), ids=inside)
def test_file_keeps_the_import_laws(path):
    assert broken_laws(inside(path), tree_of(path)) == []


@pytest.mark.parametrize("path", [p for p in package_files() if inside(p).startswith("core/")], ids=inside)
def test_core_needs_numpy_alone(path):
    import sys

    allowed = {*sys.stdlib_module_names, *_CORE_PACKAGES, "automl"}
    if inside(path) == "core/indicators.py":
        allowed.add("moocore")
    assert {i.module.split(".")[0] for i in imports_of(tree_of(path))} <= allowed


@pytest.mark.parametrize(
    ("path", "code", "broken"),
    [
        ("core/x.py", "import torch", True),
        ("core/x.py", "import moocore", True),
        ("core/indicators.py", "import moocore", False),
        ("core/x.py", "from automl.engine import run_search", True),
        ("strategies/x.py", "from automl.searchspaces.space import SearchSpace", False),
        ("strategies/x.py", "from automl.searchspaces.graph import ModelGraph", True),
        ("strategies/x.py", "def f():\n    import ray", True),
        (
            "strategies/x.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from automl.targets import base",
            True,
        ),
        (
            "targets/x.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from automl.data import x",
            False,
        ),
        ("targets/x.py", "from automl.data import x", True),
        ("execution/ray_executor.py", "import ray", False),
        ("execution/local_executor.py", "import ray", True),
        ("api.py", "import rich", True),
        ("api.py", "from automl.cli import app", True),
        ("cli/app.py", "import typer", False),
        ("cli/app.py", "import click", True),
        ("core/x.py", "from ..engine import run_search", True),
        ("kernels/a/op.py", "from automl.core.errors import KernelError", False),
        ("kernels/a/op.py", "from automl.core.rng import child", True),
        ("kernels/a/op.py", "def f():\n    import triton", True),
        ("kernels/dispatch.py", "import triton", True),
        ("kernels/a/triton_impl.py", "import triton.language as tl", False),
        ("kernels/a/cpu_impl.py", "from automl.transforms.plan import SitePlan", True),
        ("newroom/x.py", "import os", True),
    ],
)
def test_laws_catch_a_planted_import(path, code, broken):
    assert bool(broken_laws(path, ast.parse(code))) is broken
