from __future__ import annotations

import importlib
import inspect

import pytest

from automl.core.errors import KernelError
from automl.kernels import table
from tests.architecture.source import PACKAGE


def test_every_folder_with_an_operator_is_listed():
    folders = {p.parent.name for p in (PACKAGE / "kernels").glob("*/op.py")}
    assert folders == set(table.KERNELS)


@pytest.mark.parametrize("name", table.KERNELS)
def test_kernel_keeps_the_folder_pattern(name):
    spec = table.spec(name)
    assert spec.name == name
    wanted = list(inspect.signature(table.implementation(name, "reference")).parameters)
    for which in spec.implementations:
        run = table.implementation(name, which)
        assert list(inspect.signature(run).parameters) == wanted
        if which != "reference":
            module = importlib.import_module(run.__module__)
            if hasattr(module, "refusal"):
                assert list(inspect.signature(module.refusal).parameters) == wanted
    assert all(list(c.arguments) and set(c.arguments) <= set(wanted) for c in table.cases(name))
    names = [b.config for b in table.builds(name)]
    assert len(set(names)) == len(names)
    assert bool(names) == ("triton" in spec.implementations)


def test_the_reference_refuses_nothing():
    assert table.refusal("quantize_rows", "reference", {}) is None


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(KernelError, match="did you mean 'quantize_rows'"):
        table.spec("quantise_rows")
    with pytest.raises(KernelError, match="unknown implementation 'tritn'"):
        table.implementation("quantize_rows", "tritn")
