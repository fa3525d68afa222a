"""Calls that hide inputs or run code from disk, and paths of one machine."""

from __future__ import annotations

import ast
import re

import pytest

from tests.architecture.source import ROOT
from tests.architecture.source import inside
from tests.architecture.source import package_files
from tests.architecture.source import tree_of

_NUMPY_RANDOM_OK = {"Generator", "PCG64", "SeedSequence", "BitGenerator"}
#: Reading the global state is how a conformance suite shows that nobody touched it.
_READS_STATE = {"get_state", "getstate"}
_PICKLE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
_MACHINE_PATH = re.compile(r"""["'](?:/home/|/root/|/work/|/Users/|/tmp/|[A-Z]:\\\\)""")
#: Where texts go to a console on purpose.
_MAY_PRINT = "cli/"
#: Where any exception becomes a reason: the boundary of a worker.
_MAY_CATCH_ALL = ("execution/", "targets/worker.py", "cli/app.py")


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _is_banned_call(call: ast.Call) -> str | None:
    name = _dotted(call.func)
    head, _, last = name.rpartition(".")
    if head in {"np.random", "numpy.random"} and last not in _NUMPY_RANDOM_OK | _READS_STATE:
        return f"{name}: pass a generator from automl.core.rng"
    if head == "random" and last not in _READS_STATE:
        return f"{name}: pass a generator from automl.core.rng"
    if name in {"torch.manual_seed", "torch.random.manual_seed", "torch.cuda.manual_seed_all"}:
        return f"{name}: make a torch.Generator and seed that"
    if head in _PICKLE and last in {"load", "loads", "Unpickler"}:
        return f"{name}: nothing is unpickled from disk"
    if name in {"np.load", "numpy.load"} and _keyword(call, "allow_pickle") not in (None, False):
        return f"{name}: allow_pickle is not allowed"
    if name == "torch.load" and _keyword(call, "weights_only") is not True:
        return f"{name}: needs weights_only=True"
    if name in {"eval", "exec", "os.system"}:
        return f"{name}: runs text as code"
    return None


def _keyword(call: ast.Call, name: str) -> object:
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value.value if isinstance(keyword.value, ast.Constant) else "computed"
    return None


def violations(path: str, tree: ast.AST, text: str) -> list[str]:
    """Return one sentence per banned call, broad handler or machine path of a file."""
    wrong = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            seeded_test = (
                path.startswith("testing/") and _dotted(node.func) == "np.random.default_rng" and node.args
            )
            if (reason := _is_banned_call(node)) and not seeded_test:
                wrong.append(f"{path}:{node.lineno} {reason}")
            if _dotted(node.func) == "print" and not path.startswith(_MAY_PRINT):
                wrong.append(f"{path}:{node.lineno} print: take a console")
        if isinstance(node, ast.ExceptHandler) and not path.startswith(_MAY_CATCH_ALL):
            caught = "" if node.type is None else _dotted(node.type)
            # A handler that cleans up and raises again hides nothing.
            again = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
            if (
                caught in {"", "Exception", "BaseException"}
                and not isinstance(node.type, ast.Tuple)
                and not again
            ):
                wrong.append(f"{path}:{node.lineno} catches everything; name the exceptions")
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            public = not node.name.startswith("_")
            if public and node.args.kwarg is not None:
                wrong.append(f"{path}:{node.lineno} {node.name} takes **{node.args.kwarg.arg}")
    for number, line in enumerate(text.splitlines(), start=1):
        if _MACHINE_PATH.search(line):
            wrong.append(f"{path}:{number} names a path of one machine")
    return wrong


@pytest.mark.parametrize("path", package_files(), ids=inside)
def test_file_has_no_banned_call(path):
    assert violations(inside(path), tree_of(path), path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("folder", ["tests", "experiments", "examples", "docs"])
def test_no_machine_path_outside_the_package(folder):
    # This file holds the pattern itself as test input.
    files = [p for p in (ROOT / folder).rglob("*") if p.suffix in {".py", ".md", ".yaml", ".toml"}]
    pattern = re.compile("/" + "work/|/" + "root/|/" + "home/[a-z]")
    wrong = [str(p.relative_to(ROOT)) for p in files if pattern.search(p.read_text("utf-8"))]
    assert [w for w in wrong if w != "tests/architecture/test_banned_calls.py"] == []


@pytest.mark.parametrize(
    ("code", "banned"),
    [
        ("import numpy as np\nnp.random.rand(3)", True),
        ("np.random.seed(0)", True),
        ("np.random.Generator(np.random.PCG64(1))", False),
        ("random.random()", True),
        ("rng.random()", False),
        ("torch.manual_seed(0)", True),
        ("generator.manual_seed(0)", False),
        ("pickle.load(f)", True),
        ("torch.load(f)", True),
        ("torch.load(f, weights_only=False)", True),
        ("torch.load(f, weights_only=True)", False),
        ("np.load(f, allow_pickle=True)", True),
        ("np.load(f, allow_pickle=False)", False),
        ("print('x')", True),
        ("console.print('x')", False),
        ("try:\n    pass\nexcept Exception:\n    pass", True),
        ("try:\n    pass\nexcept OSError:\n    pass", False),
        ("try:\n    pass\nexcept BaseException:\n    clean()\n    raise", False),
        ("np.random.default_rng(3)", True),
        ("def f(**kwargs): ...", True),
        ("x = '/" + "root/models'", True),
    ],
)
def test_rules_catch_a_planted_line(code, banned):
    assert bool(violations("data/x.py", ast.parse(code), code)) is banned
