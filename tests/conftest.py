"""Fixtures shared by the tests of stages, API and command line: one finished run on real digits."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

# Kernels run in Triton's interpreter here. jit reads this when the first module with a kernel is imported,
# which may be a test of the command line.
os.environ["TRITON_INTERPRET"] = "1"


@pytest.fixture(scope="session")
def digits_data(tmp_path_factory) -> Path:
    """The digits that the small network has not seen, as an npz with labels."""
    from tests.digits import write_data

    path = tmp_path_factory.mktemp("digits") / "digits.npz"
    write_data(path)
    return path


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory) -> Path:
    """A folder of tables that the runs of one test session share."""
    return tmp_path_factory.mktemp("tables")


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory, digits_data, shared_cache):
    """A finished search on the digits network: folder and result."""
    import automl

    return automl.search(
        "tests.digits:build",
        data=digits_data,
        budget=["latency=1.5x", "drop=5%"],
        effort="quick",
        trials=14,
        calibration=64,
        evaluation=200,
        run=tmp_path_factory.mktemp("runs") / "digits",
        cache=shared_cache,
    )


@pytest.fixture(scope="session")
def torch_run(tmp_path_factory, digits_data, shared_cache):
    """A finished search on matrix layers for the torch target."""
    import automl

    return automl.search(
        "tests.digits:build_matrices",
        data=digits_data,
        budget="size=0.5x",
        options=("w8a8",),
        target="torch",
        effort="quick",
        trials=6,
        threads=1,
        calibration=64,
        evaluation=64,
        run=tmp_path_factory.mktemp("runs") / "torch",
        cache=shared_cache,
    )


@pytest.fixture(scope="session")
def estimated_run(tmp_path_factory, digits_data, shared_cache):
    """A finished search on the digits network whose latency a roofline estimated."""
    import automl

    return automl.search(
        "tests.digits:build",
        data=digits_data,
        budget=["latency=0.8x", "drop=5%"],
        estimate="a100",
        effort="quick",
        trials=10,
        calibration=64,
        evaluation=200,
        run=tmp_path_factory.mktemp("runs") / "estimated",
        cache=shared_cache,
    )
