from __future__ import annotations

import numpy as np
import pytest

import automl.data.embedded as embedded_room
from automl.core.errors import DataError
from automl.data.embedded import embedded
from automl.data.embedded import photographs
from automl.data.embedded import prose
from tests.data.toy_models import encoder_model
from tests.data.toy_models import image_model
from tests.data.toy_models import language_model
from tests.data.toy_models import vector_model


def test_the_wheels_carry_enough_photographs():
    found = photographs()
    assert {"astronaut", "chelsea", "coffee", "china", "flower"} <= set(found)
    assert all(min(p.size) >= 300 for p in found.values())


def test_crops_are_repeatable_different_and_depend_on_the_seed():
    model, index = image_model((32, 32)), np.arange(40)
    first = embedded(model, 40, 0).read(index).inputs[0]
    np.testing.assert_array_equal(first, embedded(model, 40, 0).read(index).inputs[0])
    assert len({a.tobytes() for a in first}) == 40
    assert not np.array_equal(first, embedded(model, 40, 1).read(index).inputs[0])


def test_crops_are_natural_images_and_not_noise():
    crops = embedded(image_model((32, 32)), 40, 0).read(np.arange(40)).inputs[0]
    assert crops.shape == (40, 3, 32, 32)
    assert crops.min() >= -1.0
    assert crops.max() <= 1.0
    # Neighbouring pixels of photographs are alike; those of noise are as far apart as any two.
    assert np.abs(np.diff(crops, axis=3)).mean() < 0.5 * crops.std()


def test_a_crop_does_not_depend_on_what_else_is_read():
    source = embedded(image_model((16, 16)), 40, 0)
    np.testing.assert_array_equal(
        source.read(np.array([7])).inputs[0][0], source.read(np.arange(9)).inputs[0][7]
    )


def test_wide_and_gray_models_are_served():
    assert embedded(image_model((16, 48)), 3, 0).read(np.arange(3)).inputs[0].shape == (3, 3, 16, 48)
    assert embedded(image_model((16, 16), channels=1), 3, 0).read(np.arange(3)).inputs[0].shape == (
        3,
        1,
        16,
        16,
    )


def test_prose_is_long_enough_for_the_default_run():
    paragraphs = prose()
    assert sum(map(len, paragraphs)) > 384 * 128 * 5
    assert len(set(paragraphs)) == len(paragraphs)
    letters = sum(c.isalpha() or c.isspace() for p in paragraphs for c in p)
    assert letters > 0.9 * sum(map(len, paragraphs))


def test_text_models_are_served():
    assert embedded(language_model(4), 384, 0).count >= 384
    assert embedded(encoder_model(), 384, 0).count >= 384


def test_other_inputs_are_refused_with_the_way_out():
    with pytest.raises(DataError, match=r"inputs of shape 1x5; give an npz file"):
        embedded(vector_model(), 4, 0)


def test_missing_photographs_are_said(monkeypatch):
    monkeypatch.setattr(embedded_room.importlib.util, "find_spec", lambda name: None)
    photographs.cache_clear()
    with pytest.raises(DataError, match="carry no photographs"):
        photographs()
    photographs.cache_clear()
