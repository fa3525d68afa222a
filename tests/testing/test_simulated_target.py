from __future__ import annotations

import itertools
import pickle
from functools import partial

import numpy as np
import pytest

from automl.core.dominance import nondominated_mask
from automl.core.errors import EvaluationError
from automl.core.measurement import Measurement
from automl.core.rng import child_rng
from automl.testing.simulated_target import SimulatedTarget
from automl.testing.simulated_target import build_target
from automl.testing.simulated_target import simulate


@pytest.mark.parametrize("seed", range(4))
def test_front_equals_brute_force(seed):
    target = SimulatedTarget(layers=7, seed=seed)
    codes = np.array(list(itertools.product(range(3), repeat=7)))
    points = np.unique(np.stack([target.damages(codes), target.latencies(codes)], axis=1).round(12), axis=0)
    expected = points[nondominated_mask(points)]
    np.testing.assert_allclose(target.front(), expected, rtol=0, atol=1e-9)


def test_mixing_costs_more_than_the_plain_sum_says():
    target = SimulatedTarget(layers=20)
    code = np.arange(20)[None] % 2
    plain = target.times[np.arange(20), code[0]].sum()
    assert target.latencies(code)[0] == pytest.approx(plain + target.borders.sum())


def test_measurement_is_a_function_of_seed_and_candidate():
    target = SimulatedTarget(noise=0.1)
    code = target.space.sample(child_rng(1, "test"), 1)
    candidate = target.space.decode(code[0])
    value = target.measure(candidate)["latency_ms"].value
    assert SimulatedTarget(noise=0.1).measure(candidate)["latency_ms"].value == value
    assert SimulatedTarget(noise=0.1, seed=1).measure(candidate)["latency_ms"].value != value
    exact = target.latencies(code)[0]
    assert value != exact
    assert abs(value / exact - 1) <= 0.1


def test_the_stated_fraction_fails_but_never_the_untouched_model():
    target = SimulatedTarget(failing=0.3)
    failed = 0
    for code in target.space.sample(child_rng(0, "test"), 300):
        try:
            target.measure(target.space.decode(code))
        except EvaluationError:
            failed += 1
    assert 60 < failed < 120
    assert SimulatedTarget(failing=1.0).measure(target.space.default)["kl"].value == 0.0


def test_stages_share_the_metrics_out():
    target = build_target()
    payload = {"candidate": target.space.default.as_dict}
    whole = Measurement.from_json(simulate(target, payload))
    quality = Measurement.from_json(simulate(target, {**payload, "stage": "quality"}))
    latency = Measurement.from_json(simulate(target, {**payload, "stage": "latency"}))
    assert set(quality) == {"kl", "size_bytes"}
    assert set(latency) == {"latency_ms"}
    assert quality.merged(latency) == whole


def test_setup_and_work_travel_to_workers():
    setup, work = pickle.loads(pickle.dumps((partial(build_target, layers=3), simulate)))
    assert len(setup().space) == 3
    assert work is simulate
