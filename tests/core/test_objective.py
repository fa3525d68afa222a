from __future__ import annotations

import numpy as np
import pytest

from automl.core.errors import EvaluationError
from automl.core.objective import Objective
from automl.core.objective import losses
from tests.core.trials import measured


def test_direction_is_applied_once():
    assert Objective("accuracy").loss(measured(accuracy=0.75)) == -0.75
    assert Objective("latency_ms").loss(measured(latency_ms=5.0)) == 5.0


def test_matrix_has_a_row_a_measurement():
    rows = [measured(accuracy=0.5, latency_ms=1.0), measured(accuracy=0.25, latency_ms=2.0)]
    assert losses([Objective("latency_ms"), Objective("accuracy")], rows).tolist() == [[1, -0.5], [2, -0.25]]


def test_no_measurements_keep_the_width():
    assert losses([Objective("kl"), Objective("macs")], []).shape == (0, 2)
    assert losses([Objective("kl")], []).dtype == np.float64


def test_missing_metric_is_named_with_what_there_is():
    with pytest.raises(EvaluationError, match=r"'kl' was not measured; measured: macs"):
        Objective("kl").loss(measured(macs=1.0))
