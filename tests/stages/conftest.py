from __future__ import annotations

import pytest

from automl.config import make_config
from automl.stages.evaluate import CandidateEvaluator
from automl.stages.events import silent
from automl.stages.prepare import prepare


@pytest.fixture(scope="package")
def bench(tmp_path_factory, digits_data, shared_cache):
    """A prepared workbench on the digits network under a size budget, so that every option is offered."""
    config = make_config(
        {
            "model": "tests.digits:build",
            "data": str(digits_data),
            "budget": "size=0.4x",
            "effort": "quick",
            "calibration": 64,
            "evaluation": 200,
        }
    )
    bench = prepare(config, tmp_path_factory.mktemp("bench"), shared_cache, silent)
    yield bench
    bench.target.close()


@pytest.fixture(scope="package")
def evaluator(bench):
    return CandidateEvaluator(bench)
