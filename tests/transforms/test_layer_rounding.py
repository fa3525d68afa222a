from __future__ import annotations

import numpy as np
import pytest

from automl.core.errors import ConfigError
from automl.transforms.layer_rounding import LayerRounder
from automl.transforms.layer_rounding import QuantizerSettings
from automl.transforms.layer_rounding import nearest_layer
from automl.transforms.quantization_math import code_limits
from automl.transforms.rounding_math import quadratic_error


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 2000, 24)) @ rng.normal(size=(2, 24, 24)) + 0.5 * rng.normal(size=(2, 2000, 24))
    return rng.normal(size=(2, 6, 24)).astype(np.float32), np.swapaxes(x, 1, 2) @ x / 2000


@pytest.mark.parametrize("bits", [2, 3, 4, 6])
@pytest.mark.parametrize("group", [0, 8, 10])
def test_rounding_with_the_gram_matrix_beats_nearest(problem, bits, group):
    weight, gram = problem
    settings = QuantizerSettings()
    nearest = nearest_layer(weight, bits, settings, group=group)
    layer = LayerRounder(gram, 2000, settings).round(weight, bits, group=group)
    low, high = code_limits(bits)
    assert layer.codes.min() >= low
    assert layer.codes.max() <= high
    assert layer.scale.shape == nearest.scale.shape
    assert (layer.scale > 0).all()
    before, after = (quadratic_error(weight - x.values(), gram).sum() for x in (nearest, layer))
    assert after < 0.8 * before


def test_more_bits_less_error_and_rounding_is_deterministic(problem):
    weight, gram = problem
    rounder = LayerRounder(gram, 2000, QuantizerSettings())
    errors = [quadratic_error(weight - rounder.round(weight, b).values(), gram).sum() for b in (2, 3, 4, 6)]
    assert errors == sorted(errors, reverse=True)
    assert np.array_equal(rounder.round(weight, 3).codes, rounder.round(weight, 3).codes)


def test_few_rows_keep_the_weight_near_the_float_one(problem):
    weight, gram = problem
    many = LayerRounder(gram, 10**6, QuantizerSettings()).round(weight, 3)
    few = LayerRounder(gram, 4, QuantizerSettings()).round(weight, 3)
    assert np.square(few.values() - weight).sum() < np.square(many.values() - weight).sum()


def test_choosing_rows_takes_codes_and_steps_together(problem):
    weight, _ = problem
    one, two = (nearest_layer(weight, b, QuantizerSettings()) for b in (3, 4))
    take = np.arange(12).reshape(2, 6) % 2 == 0
    mixed = one.choose(two, take)
    assert np.array_equal(mixed.values()[take], two.values()[take])
    assert np.array_equal(mixed.values()[~take], one.values()[~take])


@pytest.mark.parametrize(
    "wrong", [{"activation_rule": "best"}, {"damping": 0.0}, {"grid_steps": 1}, {"step_factors": ()}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError):
        QuantizerSettings(**wrong)
