from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.architecture.source import ROOT

HEAVY = (
    "torch",
    "ray",
    "optuna",
    "triton",
    "typer",
    "transformers",
    "openvino",
    "onnxruntime",
    "onnx",
    "timm",
)


def _loaded_by(statement: str, names: tuple[str, ...]) -> list[str]:
    code = f"import sys, json\n{statement}\nprint(json.dumps([n for n in {names!r} if n in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_importing_the_package_loads_nothing_heavy():
    assert _loaded_by("import automl; automl.__version__; dir(automl)", HEAVY) == []


def test_the_check_sees_a_heavy_import():
    assert _loaded_by("import onnx", ("onnx",)) == ["onnx"]


def test_loading_an_artifact_needs_no_torch_or_search():
    forbidden = ("torch", "ray", "optuna", "triton", "transformers", "automl.strategies", "automl.engine")
    assert _loaded_by("import automl.artifact.load, automl.artifact.report", forbidden) == []


def test_at_most_fifteen_public_names():
    import automl

    assert len(automl.__all__) <= 15
    with pytest.raises(AttributeError, match="no attribute 'serach'"):
        getattr(automl, "serach")  # noqa: B009
