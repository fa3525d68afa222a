from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy.stats import t as student

from automl.core.errors import ConfigError
from automl.core.errors import EvaluationError
from automl.core.measurement import Measurement
from automl.core.measurement import Metric
from automl.execution.work_wrappers import Repeated
from automl.execution.work_wrappers import Retried
from automl.execution.work_wrappers import averaged


def noisy_work(state, payload):
    rng = np.random.default_rng(payload["seed"])
    metrics = {"kl": Metric(float(rng.normal(1.0, 0.1)), "nat", n=16), "size_bytes": Metric(100.0, "B")}
    return Measurement(metrics, {"stage": payload["stage"], "state": state}).to_json()


def test_the_average_has_the_interval_of_the_mean():
    values = [1.0, 2.0, 4.0, 5.0]
    found = averaged([Measurement({"kl": Metric(v, "nat", v - 0.5, v + 0.5, 8)}) for v in values])
    half = student.ppf(0.975, 3) * np.std(values, ddof=1) / 2.0
    assert found["kl"].value == 3.0
    assert found["kl"].low == pytest.approx(3.0 - half)
    assert found["kl"].high == pytest.approx(3.0 + half)
    assert found["kl"].n == 32
    assert found.facts["repeats"] == 4


def test_equal_values_say_no_more_than_one():
    found = averaged([Measurement({"accuracy": Metric(0.5, "", 0.4, 0.6, 10)})] * 3)
    assert found["accuracy"] == Metric(0.5, "", 0.4, 0.6, 10)


def test_repeats_use_seeds_of_their_own_and_are_repeatable():
    payload = {"seed": 5, "stage": "quality"}
    first, second = (Measurement.from_json(Repeated(noisy_work, 9)("s", payload)) for _ in range(2))
    assert first == second
    assert first["kl"].low < first["kl"].value < first["kl"].high
    assert first["size_bytes"].low == first["size_bytes"].high == 100.0
    assert first.facts == {"stage": "quality", "state": "s", "repeats": 9}


def test_one_time_and_other_stages_are_the_work_itself():
    payload = {"seed": 5, "stage": "quality"}
    once = noisy_work("s", payload)
    assert Repeated(noisy_work, 1)("s", payload) == once
    assert Repeated(noisy_work, 4, ("latency",))("s", payload) == once
    assert Repeated(noisy_work, 4, ("quality",))("s", payload) != once


class Flaky:
    """Fails as often as the state's list says."""

    def __call__(self, state, payload):
        if state:
            raise state.pop(0)
        return payload


@pytest.mark.parametrize("error", [OSError("disk full"), MemoryError(), ConnectionError("lost")])
def test_a_passing_failure_is_tried_again(error):
    assert Retried(Flaky(), retries=2)([error, error], "done") == "done"


def test_the_last_failure_counts_and_tries_are_capped():
    failures = [OSError("first"), OSError("second"), OSError("third")]
    with pytest.raises(OSError, match="second"):
        Retried(Flaky(), retries=1)(failures, "done")
    assert len(failures) == 1


def test_a_lasting_failure_is_not_tried_again():
    failures = [EvaluationError("cannot be built"), OSError("never reached")]
    with pytest.raises(EvaluationError):
        Retried(Flaky(), retries=3)(failures, "done")
    assert len(failures) == 1


def test_wrappers_travel_to_workers():
    wrapped = Retried(Repeated(noisy_work, 2))
    assert pickle.loads(pickle.dumps(wrapped)) == wrapped


def test_numbers_out_of_range_are_refused():
    with pytest.raises(ConfigError):
        Repeated(noisy_work, 0)
    with pytest.raises(ConfigError):
        Retried(noisy_work, -1)
