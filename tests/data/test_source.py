from __future__ import annotations

import numpy as np
import pytest

from automl.core.errors import DataError
from automl.core.samples import Samples
from automl.data.source import image_preprocessing
from automl.data.source import shape_text
from automl.data.source import source_of
from tests.data.toy_models import image_model
from tests.data.toy_models import vector_model


def test_samples_are_read_in_the_order_asked_for():
    source = source_of(Samples((np.arange(5.0),), np.arange(5)), "numbers")
    found = source.read(np.array([3, 1]))
    assert source.count == 5
    np.testing.assert_array_equal(found.inputs[0], [3.0, 1.0])
    np.testing.assert_array_equal(found.labels, [3, 1])


def test_preprocessing_of_a_model_without_images_is_refused():
    assert image_preprocessing(image_model(), "x").size == (8, 8)
    with pytest.raises(DataError, match=r"'x' holds images, but model 'toy' takes inputs of shape 1x5"):
        image_preprocessing(vector_model(), "'x'")


def test_shapes_are_written_with_x():
    assert (shape_text((3, 8, 8)), shape_text(())) == ("3x8x8", "scalar")
