"""The package's source as syntax trees, for the rules in this folder."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "automl"


@dataclass(frozen=True)
class Import:
    """One imported module.

    Args:
        module: dotted name; for ``from a import b`` it is ``a.b``, so a rule may name either.
        line: line number.
        type_only: whether it stands under ``if TYPE_CHECKING``.
    """

    module: str
    line: int
    type_only: bool


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING"


def imports_of(tree: ast.AST, package: str = "automl") -> list[Import]:
    """Return every import of ``tree``, inside functions too; relative ones resolved against ``package``."""
    found: list[Import] = []

    def visit(node: ast.AST, type_only: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, node.lineno, type_only) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parent, base] if base else parent)
            found.extend(Import(f"{base}.{alias.name}", node.lineno, type_only) for alias in node.names)
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            for child in node.body:
                visit(child, True)
            for child in node.orelse:
                visit(child, type_only)
            return
        for child in ast.iter_child_nodes(node):
            visit(child, type_only)

    visit(tree, False)
    return found


@cache
def package_files() -> tuple[Path, ...]:
    """Return every Python file of the package, sorted."""
    return tuple(sorted(PACKAGE.rglob("*.py")))


@cache
def tree_of(path: Path) -> ast.Module:
    """Return the syntax tree of one file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def inside(path: Path) -> str:
    """Return the path below the package with forward slashes, for example ``core/budget.py``."""
    return path.relative_to(PACKAGE).as_posix()


def has_code(tree: ast.Module) -> bool:
    """Return whether a module holds a function or a class, rather than only constants and re-exports."""
    return any(isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) for n in tree.body)
