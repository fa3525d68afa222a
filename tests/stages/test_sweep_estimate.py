from __future__ import annotations

import pytest

from automl.stages.sweep_estimate import estimate_cells
from automl.sweep_config import make_sweep


@pytest.fixture
def settings(digits_data, tmp_path):
    return {
        "models": ["tests.digits:build"],
        "budgets": ["latency=1.5x"],
        "data": str(digits_data),
        "effort": "quick",
        "trials": 10,
        "calibration": 32,
        "evaluation": 64,
        "cache": str(tmp_path / "tables"),
    }


def test_shared_tables_count_for_one_cell_and_a_model_that_is_missing_says_why(settings):
    models = ["tests.digits:build", "tests.digits:missing"]
    cells = make_sweep({**settings, "models": models, "strategies": ["random", "evolutionary"]}).cells()
    first, second, *lost = estimate_cells(cells)
    assert first.seconds["price latency"] > 0
    assert second.seconds["price latency"] == second.seconds["price damage"] == 0
    assert second.seconds["search"] == first.seconds["search"] > 0
    assert [entry.seconds for entry in lost] == [{}, {}]
    assert all("unknown function 'missing'" in entry.reason for entry in lost)
    assert lost[0].total == 0


def test_a_time_limit_caps_the_estimate_and_budgets_on_bytes_have_tables_of_their_own(settings):
    cells = make_sweep({**settings, "budgets": ["latency=1.5x", "size=0.5x"], "time": "2s"}).cells()
    speed, size = estimate_cells(cells)
    assert speed.total == pytest.approx(2.0)
    assert size.seconds["price latency"] > 0


def test_seeds_share_their_tables_unless_each_draws_its_own_samples(settings):
    first, second = estimate_cells(make_sweep({**settings, "seeds": [1, 2]}).cells())
    assert first.seconds["price latency"] > 0
    assert second.seconds["price latency"] == 0
    for entry in estimate_cells(make_sweep({**settings, "seeds": [1, 2], "data_seed": None}).cells()):
        assert entry.seconds["price latency"] > 0
