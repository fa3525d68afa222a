from __future__ import annotations

import numpy as np

from automl.targets.onnxruntime_target import ONNXRUNTIME_RULES
from automl.testing.target_suite import TOLD_APART
from automl.testing.tiny_model import tiny_model


class Rules:
    rules = ONNXRUNTIME_RULES


def test_it_is_the_same_network_every_time():
    first, second = tiny_model(), tiny_model()
    np.testing.assert_array_equal(first.outputs, second.outputs)
    assert first.traced.graph.fingerprint == second.traced.graph.fingerprint


def test_without_options_the_simulation_is_the_network():
    model = tiny_model()
    np.testing.assert_allclose(model.simulated(model.plan(Rules, {})), model.outputs, rtol=1e-5, atol=1e-5)


def test_coarse_weights_are_told_apart_from_the_untouched_network():
    model = tiny_model()
    sites = [s.name for s in model.traced.graph.sites]

    def lost(option):
        found = model.simulated(model.plan(Rules, dict.fromkeys(sites, option)))
        return np.linalg.norm(found - model.outputs) / np.linalg.norm(model.outputs)

    assert lost("w8a8") < TOLD_APART < lost("w4a8") < lost("w2a8")


def test_every_option_has_a_site_that_can_take_it():
    shapes = {s.name: s.weight_shape for s in tiny_model().traced.graph.sites}
    assert any(len(shape) == 4 for shape in shapes.values())
    assert any(len(shape) == 2 and shape[1] % 128 == 0 for shape in shapes.values())
