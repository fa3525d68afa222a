from __future__ import annotations

import pytest

from automl.core.errors import ConfigError
from automl.stages.bench import measure_side_by_side


def test_models_of_different_origin_are_not_compared(digits_run, digits_data):
    folder = str(digits_run.folder / digits_run.best.member.artifact)
    with pytest.raises(ConfigError, match="different origin"):
        measure_side_by_side(
            ["tests.digits:build_wide", folder],
            data=str(digits_data),
            target="openvino",
            repeats=5,
            evaluation=10,
            threads=1,
            batch=1,
        )
