from __future__ import annotations

import numpy as np
import pytest

from automl.transforms.activation_ranges import activation_quantizer
from automl.transforms.calibrate import ValueHistogram
from automl.transforms.layer_rounding import QuantizerSettings


def step(rule, values):
    histogram = ValueHistogram.empty().add(np.asarray(values, np.float32))
    return activation_quantizer(histogram, QuantizerSettings(activation_rule=rule, percentile=99.0))


def test_the_full_range_rule_keeps_every_value_and_zero():
    q = step("minmax", [2.0, 6.0])
    assert q.zero_point == 0
    assert q.scale * 255 == pytest.approx(6.0, rel=1e-6)


def test_the_percentile_rule_cuts_a_far_outlier_and_the_lp_rule_weighs_it():
    few = np.r_[np.linspace(0, 1, 200_000), 100.0]
    assert step("percentile", few).scale < 0.05 * step("minmax", few).scale
    assert step("lp", few).scale > 0.5 * step("minmax", few).scale
    assert step("lp", np.r_[np.tile(np.linspace(0, 1, 1000), 2000), 8.0]).scale * 255 < 0.95 * 8


def test_negative_values_move_the_zero_point():
    q = step("minmax", [-1.0, 3.0])
    assert q.zero_point == 64
    assert q.scale * 255 == pytest.approx(4.0, rel=1e-6)
